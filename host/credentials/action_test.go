package credentials

import (
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// What people are told to do has to be something that they can do with this platform.
func TestTheActionIsOneThatThePlatformOffers(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	refused := domain.TokenSet{RefusedAt: now, FailedWith: &contract.Failure{Code: "token_refused", Message: "No."}}
	app := domain.Connection{IsApp: true}
	for _, tt := range []struct {
		name       string
		connection domain.Connection
		owner      domain.TokenOwner
		want       string
	}{
		{"a person consents in a browser", domain.Connection{}, domain.TokenOwner{Consents: true}, "Authorise the connection again"},
		{"an install brings the tokens", domain.Connection{}, domain.TokenOwner{Renews: true}, "setup steps of the connection"},
		{"the plugin gets them by itself", domain.Connection{}, domain.TokenOwner{Obtains: true, Consents: true}, "connection's settings and secrets"},
		{"the app's plugin gets them by itself", app, domain.TokenOwner{Obtains: true}, "app's settings and secrets"},
		{"the app's tokens come from its registration", app, domain.TokenOwner{Renews: true}, "Register the app anew"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := condition(refused, tt.connection, tt.owner, now)
			if got == nil || got.State != contract.StateNeedsAction || !strings.Contains(got.Action, tt.want) {
				t.Errorf("condition = %+v, want needs_action with %q", got, tt.want)
			}
		})
	}
}
