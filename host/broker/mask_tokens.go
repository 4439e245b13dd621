package broker

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// maskTokens takes the tokens out of a recording before it is kept: those that the plugin
// handed over, and in a run that was to get some, whatever an answer or the input calls by
// such a name, for such a run may fail before it hands them over. brought is what a delivery
// brought.
func maskTokens(r *recording.Recording, brought []string) {
	values := append(handedOver(r), brought...)
	getting := r.Export == string(contract.ExportRefreshCredentials)
	if in := (contract.ExchangeCodeInput{}); r.Export == string(contract.ExportExchangeCode) && contract.Unmarshal(r.Input, &in) == nil {
		getting = true
		values = append(values, in.Code, in.CodeVerifier)
	}
	if getting || len(values) > 0 {
		for _, c := range r.Calls {
			if c.Function == string(contract.HostHTTPSend) || c.Function == string(contract.HostDeliveryBody) {
				values = append(values, namedAsTokens(c.Answer)...)
			}
		}
	}
	hide(r, values)
}

// handedOver returns the tokens that a plugin handed over.
func handedOver(r *recording.Recording) (values []string) {
	for _, c := range r.Calls {
		var put contract.CredentialsPut
		if c.Function == string(contract.HostCredentialsPut) && contract.Unmarshal(c.Arguments, &put) == nil {
			values = append(values, put.AccessToken, put.RefreshToken)
		}
	}
	return values
}

// tokenNamed finds members of JSON objects that are called like a token, in JSON and in JSON
// that stands in a JSON string, and fields of forms that are. What a token is said to be (its
// type, its life, an error's code) is none.
var tokenNamed = regexp.MustCompile(`(?i)(?:"|\b)(?:[a-z]+[_-]?token|token|jwt)(?:\\*"\s*:\s*\\*"([^"\\]{12,})|=([^&"\\\s]{12,}))`)

func namedAsTokens(text []byte) (values []string) {
	for _, found := range tokenNamed.FindAllSubmatch(text, -1) {
		values = append(values, string(found[1])+string(found[2])) // one of them matched
	}
	return values
}

// hide replaces values by as many x wherever they stand in a recording, as they are and as
// they stand in JSON, once or twice over. The longest go first, since one may hold another.
func hide(r *recording.Recording, values []string) {
	forms := map[string]bool{}
	for _, value := range values {
		for range 3 {
			if len(value) >= maskedBytes {
				forms[value] = true
			}
			quoted, err := json.Marshal(value)
			if err != nil || string(quoted[1:len(quoted)-1]) == value {
				break
			}
			value = string(quoted[1 : len(quoted)-1])
		}
	}
	var sorted []string
	for form := range forms {
		sorted = append(sorted, form)
	}
	slices.SortFunc(sorted, func(a, b string) int { return len(b) - len(a) })
	for _, form := range sorted {
		cover(r, form)
	}
}

// cover replaces one text wherever it stands in a recording.
func cover(r *recording.Recording, text string) {
	xs := strings.Repeat("x", len(text))
	over := func(b []byte) []byte {
		if b == nil || !strings.Contains(string(b), text) {
			return b
		}
		return []byte(strings.ReplaceAll(string(b), text, xs))
	}
	r.Input, r.Outcome.Output = over(r.Input), over(r.Outcome.Output)
	for i := range r.Calls {
		c := &r.Calls[i]
		c.Arguments, c.Answer = over(c.Arguments), over(c.Answer)
	}
	for i := range r.Logs {
		r.Logs[i].Text = strings.ReplaceAll(r.Logs[i].Text, text, xs)
	}
	if f := r.Outcome.Failure; f != nil {
		f.Message = strings.ReplaceAll(f.Message, text, xs)
	}
}
