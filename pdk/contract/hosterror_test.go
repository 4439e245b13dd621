package contract_test

import (
	"fmt"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestHostError(t *testing.T) {
	for _, tt := range []struct {
		in   contract.HostError
		want string
	}{
		{contract.HostError{Code: contract.HostDenied, Message: "no grant", Certain: true}, "host: denied: no grant"},
		{contract.HostError{Code: contract.HostTimeout}, "host: timeout (it may have taken effect)"},
	} {
		err := fmt.Errorf("send: %w", &tt.in)
		if got := tt.in.Error(); got != tt.want {
			t.Errorf("Error() = %q, want %q", got, tt.want)
		}
		if got := contract.HostErrorCode(err); got != tt.in.Code {
			t.Errorf("HostErrorCode(%v) = %q, want %q", err, got, tt.in.Code)
		}
	}
	if got := contract.HostErrorCode(fmt.Errorf("other")); got != "" {
		t.Errorf("HostErrorCode of another error = %q, want none", got)
	}
}
