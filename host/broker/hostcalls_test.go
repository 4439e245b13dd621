package broker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// transcript runs one delivery whose guest makes the calls, and returns the answers.
func transcript(t *testing.T, w *world, calls ...func(g *call) string) []string {
	t.Helper()
	var answers []string
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		answers = nil
		for _, c := range calls {
			answers = append(answers, c(g))
		}
		return contract.Marshal(&contract.ReceiveOutput{Response: contract.Response{Status: 200}}), nil
	}, nil)
	if answer := w.deliverAnswered(t, "the body"); answer.Status != 200 {
		t.Fatalf("answered %d", answer.Status)
	}
	return answers
}

// raw calls a host function with a document as it stands.
func raw(name contract.HostFunction, args string) func(g *call) string {
	return func(g *call) string {
		answer, err := g.Host[string(name)](g.ctx, []byte(args))
		if err != nil {
			return "fault: " + err.Error()
		}
		return string(answer)
	}
}

func TestHostFunctionsAnswerInValues(t *testing.T) {
	long := strings.Repeat("k", 257)
	for _, tt := range []struct {
		name string
		call func(g *call) string
		want string // a part of the answer
	}{
		{"a key that is not there is not empty", raw(contract.HostKVGet, `{"key":"none"}`), `{}`},
		{"an empty key", raw(contract.HostKVGet, `{"key":""}`), `"code":"invalid"`},
		{"a long key", raw(contract.HostKVGet, `{"key":"`+long+`"}`), `"code":"invalid"`},
		{"no argument", raw(contract.HostKVGet, ``), `"code":"invalid"`},
		{"a wrong type", raw(contract.HostKVGet, `{"key":7}`), `"code":"invalid"`},
		{"garbage", raw(contract.HostKVPut, "\x00\xff"), `"code":"invalid"`},
		{"a long value", raw(contract.HostKVPut, `{"key":"k","value":"`+strings.Repeat("v", 65537)+`"}`), `"code":"invalid"`},
		{"a negative life", raw(contract.HostKVPut, `{"key":"k","value":"v","ttl_seconds":-1}`), `"code":"invalid"`},
		{"a life of a billion years", raw(contract.HostKVPut, `{"key":"k","value":"v","ttl_seconds":9223372036854775807}`), `"code":"invalid"`},
		{"a version that does not fit", raw(contract.HostKVPut, `{"key":"k","value":"v","check_version":true,"expected_version":3}`), `"code":"conflict"`},
		{"a version that fits", raw(contract.HostKVPut, `{"key":"k","value":"v","check_version":true}`), `{}`},
		{"too many at once", raw(contract.HostKVList, `{"limit":1001}`), `"code":"invalid"`},
		{"a negative page", raw(contract.HostKVList, `{"limit":-1}`), `"code":"invalid"`},
		{"the right secret", raw(contract.HostSecretEqual, `{"name":"token","value":"hunter2-hunter2"}`), `{"ok":true}`},
		{"a wrong secret", raw(contract.HostSecretEqual, `{"name":"token","value":"hunter3"}`), `{}`},
		{"an empty secret", raw(contract.HostSecretEqual, `{"name":"token","value":""}`), `{}`},
		{"a secret that stands in", raw(contract.HostSecretEqual, `{"name":"second","value":"hunter2-hunter2"}`), `{"ok":true}`},
		{"a secret that was not granted", raw(contract.HostSecretEqual, `{"name":"kept","value":"x"}`), `"code":"denied"`},
		{"a secret that nobody knows", raw(contract.HostSecretEqual, `{"name":"other","value":"x"}`), `"code":"denied"`},
		{"a MAC over the body", raw(contract.HostHMACVerify, `{"name":"token","algorithm":"sha256","over_body":true,"mac":"c2hhMjU2L2h1bnRlcjItaHVudGVyMi90aGUgYm9keQ=="}`), `{"ok":true}`},
		{"a MAC that differs", raw(contract.HostHMACVerify, `{"name":"token","algorithm":"sha256","over_body":true,"mac":"AAAA"}`), `{}`},
		{"a broken algorithm", raw(contract.HostHMACVerify, `{"name":"token","algorithm":"md5","mac":"AAAA"}`), `"code":"invalid"`},
		{"a MAC with another's secret", raw(contract.HostHMACSign, `{"name":"kept","algorithm":"sha256","message":""}`), `"code":"denied"`},
		{"no request while the platform waits", raw(contract.HostHTTPSend, `{"method":"POST","url":"https://acme.test:8443/api"}`), `"code":"denied"`},
		{"no upload while the platform waits", raw(contract.HostMediaPut, `{"handle":"med_1","request":{"method":"POST","url":"https://acme.test:8443/api"}}`), `"code":"denied"`},
		{"no download while the platform waits", raw(contract.HostMediaFetch, `{"url":"https://files.test/a"}`), `"code":"denied"`},
		{"a token with another's secret", raw(contract.HostJWTVerify, `{"name":"kept","algorithm":"HS256","token":"x"}`), `"code":"denied"`},
		{"a token without a signature's algorithm", raw(contract.HostJWTVerify, `{"name":"token","algorithm":"none","token":"x"}`), `"code":"invalid"`},
		{"a token with more leeway than clocks need", raw(contract.HostJWTVerify, `{"name":"token","algorithm":"HS256","token":"x","leeway_seconds":301}`), `"code":"invalid"`},
		{"a token that is none", raw(contract.HostJWTVerify, `{"name":"token","algorithm":"HS256","token":"x"}`), `"code":"refused"`},
		{"a key that is none", raw(contract.HostSignatureVerify, `{"pem":"x","algorithm":"rsa-sha256","message":"","signature":""}`), `"code":"invalid"`},
		{"an attachment that is not there", raw(contract.HostMediaLink, `{"handle":"med_none"}`), `"code":"not_found"`},
		{"the raw body", raw(contract.HostDeliveryBody, ``), `the body`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			if got := transcript(t, w, tt.call)[0]; !strings.Contains(got, tt.want) {
				t.Errorf("answered %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAFunctionThatTheGrantLeavesOutIsDenied(t *testing.T) {
	w := newWorld(t, nil)
	w.plugins.version.Grant.HostFunctions = []string{"delivery_body"}
	got := transcript(t, w, raw(contract.HostKVGet, `{"key":"k"}`), raw(contract.HostDeliveryBody, ""))
	if !strings.Contains(got[0], `"code":"denied"`) || got[1] != "the body" {
		t.Errorf("answered %q", got)
	}
}

func TestKeyValueStateWithinAndAcrossInvocations(t *testing.T) {
	w := newWorld(t, nil)
	put := func(key, value string) func(*call) string {
		return raw(contract.HostKVPut, fmt.Sprintf(`{"key":%q,"value":%q}`, key, value))
	}
	get := func(key string) func(*call) string { return raw(contract.HostKVGet, fmt.Sprintf(`{"key":%q}`, key)) }
	list := raw(contract.HostKVList, `{"prefix":"p/","limit":2}`)
	next := raw(contract.HostKVList, `{"prefix":"p/","after":"p/2","limit":2}`)
	remove := raw(contract.HostKVDelete, `{"key":"p/1"}`)

	first := transcript(t, w, put("p/1", "a"), put("p/3", "c"), put("q", "z"), get("p/1"), list)
	want := []string{`{}`, `{}`, `{}`, `{"found":true,"value":"a"}`, `{"entries":[{"key":"p/1","value":"a","version":0},{"key":"p/3","value":"c","version":0}]}`}
	if !slices.Equal(first, want) {
		t.Errorf("first invocation:\n%q, want\n%q", first, want)
	}
	second := transcript(t, w, get("p/1"), remove, get("p/1"), put("p/2", "b"), put("p/4", "d"), list, next)
	want = []string{`{"found":true,"value":"a","version":1}`, `{}`, `{"version":1}`, `{}`, `{}`,
		`{"entries":[{"key":"p/2","value":"b","version":0},{"key":"p/3","value":"c","version":1}],"more":true}`,
		`{"entries":[{"key":"p/3","value":"c","version":1},{"key":"p/4","value":"d","version":0}]}`}
	if !slices.Equal(second, want) {
		t.Errorf("second invocation:\n%q, want\n%q", second, want)
	}
	third := transcript(t, w, get("p/1"), list)
	want = []string{`{}`, `{"entries":[{"key":"p/2","value":"b","version":2},{"key":"p/3","value":"c","version":1}],"more":true}`}
	if !slices.Equal(third, want) {
		t.Errorf("third invocation:\n%q, want\n%q", third, want)
	}
}

func TestAnEntryExpires(t *testing.T) {
	w := newWorld(t, nil)
	transcript(t, w, raw(contract.HostKVPut, `{"key":"k","value":"v","ttl_seconds":60}`))
	w.now.Add(59)
	if got := transcript(t, w, raw(contract.HostKVGet, `{"key":"k"}`)); !strings.Contains(got[0], `"found":true`) {
		t.Errorf("in time: %s", got)
	}
	w.now.Add(1)
	if got := transcript(t, w, raw(contract.HostKVGet, `{"key":"k"}`)); strings.Contains(got[0], "found") {
		t.Errorf("too late: %s", got)
	}
}

func TestAMediaLinkIsBoundToTheWorkspaceAndToItsLife(t *testing.T) {
	w := newWorld(t, nil)
	for _, m := range []domain.Media{{Handle: "med_1", Workspace: "wsp_1", SHA256: "aa"}, {Handle: "med_2", Workspace: "wsp_2", SHA256: "bb"}} {
		if err := w.store.PutMedia(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	got := transcript(t, w,
		raw(contract.HostMediaLink, `{"handle":"med_1"}`),
		raw(contract.HostMediaLink, `{"handle":"med_1","ttl_seconds":60}`),
		raw(contract.HostMediaLink, `{"handle":"med_1","ttl_seconds":999999999}`),
		raw(contract.HostMediaLink, `{"handle":"med_1","ttl_seconds":-1}`),
		raw(contract.HostMediaLink, `{"handle":"med_2"}`))
	for i, want := range []string{"T09:00:00Z", "T08:01:00Z", "T09:00:00Z", `"code":"invalid"`, `"code":"not_found"`} {
		if !strings.Contains(got[i], want) {
			t.Errorf("call %d answered %s, want %s", i, got[i], want)
		}
	}
}

func TestThePolicyOfAConnectionIsManifestGrantAndSettings(t *testing.T) {
	w := newWorld(t, nil)
	w.plugins.version.Grant.Hosts = map[string][]string{"api": {"*.test"}}
	if _, err := w.store.UpdateConnection(t.Context(), "con_1", func(c *domain.Connection) error {
		c.PrivateTargets = []string{"127.0.0.1:8443"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var seen domain.EgressPolicy
	var filled []string
	w.outside.send = func(p domain.EgressPolicy, reveal secret.Reveal, _ contract.HTTPRequest) *contract.HTTPResult {
		seen = p
		for _, name := range []string{"token", "second", "kept"} {
			value, err := reveal(t.Context(), name)
			filled = append(filled, fmt.Sprint(name, "=", value.Reveal(), " ", err == nil))
		}
		return &contract.HTTPResult{Status: 204}
	}
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		ask[contract.HTTPResult](g, contract.HostHTTPSend, &contract.HTTPRequest{Method: "POST", URL: "https://acme.test:8443/api"})
		return contract.Marshal(&contract.CommandOutput{}), nil
	}, nil)
	w.run(t, w.send(t, "chat", "hi"))
	got, err := json.Marshal(seen)
	want := `{"Plugin":"test","Sender":"con_1","App":"con_1","Rules":[` +
		`{"Name":"api","Scheme":"https","Host":"acme.test","Port":8443,"Methods":["POST"],"Paths":["/api"],"Hosts":["*.test"],"Secrets":["token","second"],"Cached":false,"Rates":null,"Redact":null},` +
		`{"Name":"files","Scheme":"https","Host":"files.test","Port":443,"Methods":["GET"],"Paths":["/"],"Hosts":null,"Secrets":null,"Cached":false,"Rates":null,"Redact":null}],` +
		`"PrivateTargets":["127.0.0.1:8443"]}`
	if err != nil || string(got) != want {
		t.Errorf("policy\n%s, want\n%s", got, want)
	}
	if want := []string{"token=hunter2-hunter2 true", "second=hunter2-hunter2 true", "kept= false"}; !slices.Equal(filled, want) {
		t.Errorf("revealed %q, want %q", filled, want)
	}
}

func TestAnAttachmentIsUploadedWithoutPassingThroughTheGuest(t *testing.T) {
	w := newWorld(t, nil)
	for _, m := range []domain.Media{
		{Handle: "med_1", Workspace: "wsp_1", SHA256: "aGVsbG8=", Name: "a.txt", MIME: "text/plain", SizeBytes: 5},
		{Handle: "med_2", Workspace: "wsp_2", SHA256: "aGVsbG8=", Name: "theirs.txt", MIME: "text/plain", SizeBytes: 5},
	} {
		if err := w.store.PutMedia(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	var sent []string
	w.outside.send = func(p domain.EgressPolicy, _ secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult {
		sent = append(sent, r.Method+" "+r.URL+" "+r.Body+" "+p.Rules[0].Name)
		return &contract.HTTPResult{Status: 201}
	}
	var got []string
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		for _, handle := range []contract.MediaHandle{"med_1", "med_2", "med_none"} {
			r := ask[contract.HTTPResult](g, contract.HostMediaPut, &contract.MediaPut{Handle: handle,
				Request: contract.HTTPRequest{Method: "POST", URL: "https://acme.test:8443/api"}})
			if r.Error != nil {
				got = append(got, r.Error.Code)
			} else {
				got = append(got, fmt.Sprint(r.Status))
			}
		}
		return contract.Marshal(&contract.CommandOutput{}), nil
	}, nil)
	w.run(t, w.send(t, "chat", "hi"))
	if want := []string{"201", "not_found", "not_found"}; !slices.Equal(got, want) {
		t.Errorf("answered %q, want %q", got, want)
	}
	if want := []string{"POST https://acme.test:8443/api a.txt text/plain 5 hello api"}; !slices.Equal(sent, want) {
		t.Errorf("sent %q, want %q", sent, want)
	}
}

func FuzzHostFunctionArguments(f *testing.F) {
	for _, args := range []string{`{"key":"k"}`, `{"name":"token","value":"x"}`, `{"handle":"med_1"}`, `{"prefix":"p","limit":3}`, `[]`,
		`{"name":"token","algorithm":"HS256","token":"a.b.c"}`, `{"name":"token","algorithm":"ES256","claims":{}}`, `{"pem":"-----BEGIN CERTIFICATE-----","algorithm":"ed25519"}`, `{"key":"k","key":"l"}`} {
		f.Add(args)
	}
	f.Fuzz(func(t *testing.T, args string) {
		w := newWorld(t, nil)
		for _, name := range []contract.HostFunction{contract.HostKVGet, contract.HostKVPut, contract.HostKVDelete, contract.HostKVList,
			contract.HostSecretEqual, contract.HostHMACVerify, contract.HostHMACSign, contract.HostMediaLink, contract.HostMediaPut, contract.HostHTTPSend,
			contract.HostJWTVerify, contract.HostJWTSign, contract.HostSignatureVerify, contract.HostMediaFetch} {
			answer := transcript(t, w, raw(name, args))[0]
			if !json.Valid([]byte(answer)) {
				t.Errorf("%s(%q) answered %q, which is no document", name, args, answer)
			}
		}
	})
}
