package broker

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

func TestASecretThatThePlatformSentIsMasked(t *testing.T) {
	const token, quoted = "s3cret-of-the-platform", `tok"en of two`
	compare := func(value, answer string) recording.Call {
		arguments, err := json.Marshal(map[string]string{"name": "token", "value": value})
		if err != nil {
			t.Fatal(err)
		}
		return recording.Call{Function: "secret_equal", Arguments: arguments, Answer: recording.Bytes(answer)}
	}
	r := recording.Recording{
		Format: recording.Format, Digest: "sha256:" + strings.Repeat("0", 64), Export: "receive",
		Input: recording.Bytes(`{"headers":["` + token + `"]}`),
		Calls: []recording.Call{
			{Function: "delivery_body", Answer: recording.Bytes(`{"token":"` + token + `","second":"tok\"en of two","pin":"1234","text":"a wrong guess"}`)},
			compare(token, `{"ok":true}`), compare(quoted, `{"ok":true}`), compare("1234", `{"ok":true}`), compare("a wrong guess", `{}`),
			{Function: "kv_put", Arguments: recording.Bytes(`{"key":"1234","value":"` + token + `"}`)},
		},
		Logs:    []recording.Log{{Text: "it said " + token}},
		Outcome: recording.Outcome{Output: recording.Bytes(`{"events":["` + token + `"]}`)},
	}
	before, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	mask(&r)
	after, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{token, `tok\"en of two`} {
		if n := strings.Count(string(before), hidden); n < 2 {
			t.Fatalf("%s was there %d times: the test is none", hidden, n)
		}
		if strings.Contains(string(after), hidden) {
			t.Errorf("%s is still there:\n%s", hidden, after)
		}
	}
	for _, kept := range []string{strings.Repeat("x", len(token)), `"1234"`, "a wrong guess"} {
		if !strings.Contains(string(after), kept) {
			t.Errorf("%s is not there:\n%s", kept, after)
		}
	}
	if len(after) != len(before) {
		t.Errorf("it had %d bytes and has %d", len(before), len(after))
	}
}

// TestAJWTThatIsGenuineLosesItsSignature: it stays one in form, so that the recording runs as it
// ran. One that is not genuine is nobody's secret.
func TestAJWTThatIsGenuineLosesItsSignature(t *testing.T) {
	const genuine, forged = "aGVhZA.Y2xhaW1z.c2lnbmF0dXJlLW9mLWl0", "aGVhZA.Y2xhaW1z.Zm9yZ2VkLXNpZ25hdHVyZQ"
	verify := func(token string, result *contract.JWTVerifyResult) recording.Call {
		return recording.Call{Function: string(contract.HostJWTVerify), Answer: contract.Marshal(result),
			Arguments: contract.Marshal(&contract.JWTVerify{Name: "client_secret", Algorithm: "HS256", Token: token})}
	}
	r := recording.Recording{Input: recording.Bytes(`["Bearer ` + genuine + `","Bearer ` + forged + `"]`), Calls: []recording.Call{
		verify(genuine, &contract.JWTVerifyResult{Claims: contract.RawJSON(`{}`)}),
		verify(forged, &contract.JWTVerifyResult{Error: &contract.HostError{Code: contract.HostRefused}}),
	}}
	mask(&r)
	text := string(r.Input) + string(r.Calls[0].Arguments) + string(r.Calls[1].Arguments)
	if strings.Contains(text, "c2lnbmF0") || strings.Count(text, "aGVhZA.Y2xhaW1z."+strings.Repeat("x", 20)) != 2 || strings.Count(text, forged) != 2 {
		t.Errorf("masked to %s", text)
	}
}
