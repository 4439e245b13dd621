package broker

import (
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

func TestTokensAreTakenOutOfARecordingAndNothingElse(t *testing.T) {
	const access, refresh, code, verifier = `a"cc/ess-token-1`, "refresh-token-1", "the-code-of-ann", "the-verifier-of-ann"
	answer := contract.Marshal(&contract.HTTPResult{Status: 200, Body: `{"token_type":"bearer","access_token":"unhanded-token-9","expires_in":3600,"error_code":"none_at_all"}`})
	r := recording.Recording{
		Export: string(contract.ExportExchangeCode),
		Input:  contract.Marshal(&contract.ExchangeCodeInput{Code: code, CodeVerifier: verifier, RedirectURL: "https://host.test/oauth"}),
		Calls: []recording.Call{
			{Function: string(contract.HostHTTPSend), Arguments: contract.Marshal(&contract.HTTPRequest{Method: "POST", Body: `{"code":"` + code + `"}`,
				Headers: []contract.Header{{Name: "Authorization", Value: "bearer {{credential:access_token}}"}}}), Answer: answer},
			{Function: string(contract.HostCredentialsPut), Arguments: contract.Marshal(&contract.CredentialsPut{AccessToken: access, RefreshToken: refresh})},
		},
		Logs:    []recording.Log{{Text: "got " + refresh}},
		Outcome: recording.Outcome{Output: []byte(`{"failure":{"class":"retry","code":"none_at_all","message":"` + refresh + `"}}`)},
	}
	size := len(r.Input)
	maskTokens(&r, nil)
	text := string(r.Input) + string(r.Outcome.Output) + r.Logs[0].Text
	for _, c := range r.Calls {
		text += string(c.Arguments) + string(c.Answer)
	}
	for _, gone := range []string{"ess-token-1", refresh, code, verifier, "unhanded-token-9"} {
		if strings.Contains(text, gone) {
			t.Errorf("%q is still there:\n%s", gone, text)
		}
	}
	for _, stays := range []string{"token_type", "bearer", "expires_in", "none_at_all", "{{credential:access_token}}", "https://host.test/oauth"} {
		if !strings.Contains(text, stays) {
			t.Errorf("%q is gone:\n%s", stays, text)
		}
	}
	if len(r.Input) != size {
		t.Error("the input has another length, and would not run as it did")
	}
}

func TestARecordingWithoutTokensStaysAsItIs(t *testing.T) {
	body := contract.Marshal(&contract.HTTPResult{Status: 200, Body: `{"access_token":"of-somebody-else-entirely"}`})
	r := recording.Recording{Export: string(contract.ExportSendMessage), Calls: []recording.Call{{Function: string(contract.HostHTTPSend), Answer: body}}}
	maskTokens(&r, nil)
	if string(r.Calls[0].Answer) != string(body) {
		t.Errorf("masked to %s", r.Calls[0].Answer)
	}
}

func FuzzMaskTokens(f *testing.F) {
	f.Add("access-token", "refresh-token", `{"access_token":"access-token"}`)
	f.Add(`"\"`, `\\\\\\\\`, `\"refresh_token\":\"xxxxxxxxxxxxxxx`)
	f.Fuzz(func(t *testing.T, access, refresh, body string) {
		r := recording.Recording{Export: string(contract.ExportRefreshCredentials), Calls: []recording.Call{
			{Function: string(contract.HostHTTPSend), Answer: contract.Marshal(&contract.HTTPResult{Status: 200, Body: body})},
			{Function: string(contract.HostCredentialsPut), Arguments: contract.Marshal(&contract.CredentialsPut{AccessToken: access, RefreshToken: refresh})},
		}}
		size := len(r.Calls[0].Answer)
		maskTokens(&r, nil)
		if len(r.Calls[0].Answer) != size {
			t.Errorf("an answer of %d bytes became one of %d", size, len(r.Calls[0].Answer))
		}
		if plain := strings.Trim(access, "x"); len(plain) >= maskedBytes && isPlain(access) && strings.Contains(string(r.Calls[1].Arguments), access) {
			t.Errorf("%q is still in %s", access, r.Calls[1].Arguments)
		}
	})
}

// isPlain tells whether a text stands in JSON as it is.
func isPlain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 'a' || r > 'z' })
}
