package egress

import (
	"fmt"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Fault is a request without an answer. The HostError is for the plugin: it never holds a
// secret, nor the URL with placeholders filled. The cause is for the operator.
type Fault struct {
	*contract.HostError
	// Status is the platform's answer that [Client.Download] could not use; 0 if there is none.
	Status int
	cause  error
}

// Unwrap returns the HostError and the cause.
func (f *Fault) Unwrap() []error {
	if f.cause == nil {
		return []error{f.HostError}
	}
	return []error{f.HostError, f.cause}
}

// failed is a fault before anything was sent.
func failed(code string, cause error, format string, arguments ...any) *Fault {
	message := fmt.Sprintf(format, arguments...)
	return &Fault{HostError: &contract.HostError{Code: code, Message: message, Certain: true}, cause: cause}
}

// denied is what no grant allows.
func denied(format string, arguments ...any) *Fault {
	return failed(contract.HostDenied, nil, format, arguments...)
}

// invalid is a malformed request.
func invalid(err error) *Fault {
	return failed(contract.HostInvalid, nil, "%v", err)
}
