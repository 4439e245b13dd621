package main

import (
	"maps"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestUserInfo(t *testing.T) {
	for _, tt := range []struct{ name, keys, user, want string }{
		{"a person of this connection", "", "tg-user-553201",
			`{"userId":"tg-user-553201","fullName":"Dana Petrova","name":"Dana Petrova","login":"tg-user-553201","phone":"+37060012345","email":"","avatar":"{{media_base64:med_avatar}}"}`},
		{"somebody else", "", "tg-user-1",
			`{"userId":"","fullName":"","name":"","login":"tg-user-1","phone":"","email":"","avatar":""}`},
		{"renamed and left out", "fullName=displayName, name=, avatar=photo,userId=", "tg-user-553201",
			`{"displayName":"Dana Petrova","login":"tg-user-553201","phone":"+37060012345","email":"","photo":"{{media_base64:med_avatar}}"}`},
		{"two keys under one name", "fullName=name", "tg-user-1",
			`{"userId":"","name":"","login":"tg-user-1","phone":"","email":"","avatar":""}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, "user_info_keys", tt.keys).connect()
			w.say("msg_1", "hello")
			out := w.deliver(envelopeOf("userInfo", "", `{"userId":"`+tt.user+`"}`))
			if out.Response.Status != 200 || out.Response.Body != tt.want {
				t.Errorf("answered %d\n got %s\nwant %s", out.Response.Status, out.Response.Body, tt.want)
			}
			if h := out.Response.Headers; len(h) != 1 || h[0].Value != "application/json" {
				t.Errorf("headers %+v; without application/json the host fills no avatar in", h)
			}
		})
	}
}

func TestAvatarTakesHandlesOnly(t *testing.T) {
	for handle, want := range map[contract.MediaHandle]string{
		"med_9-Z": "{{media_base64:med_9-Z}}", "": "", "x}}{{secret:token": "", "a b": "", "ä": "",
	} {
		if got := avatar(handle); got != want {
			t.Errorf("avatar(%q) = %q, want %q", handle, got, want)
		}
	}
}

func lookup(w *world, status int64, body string) *contract.CommandOutput {
	w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
		return &contract.HTTPResult{Status: status, Body: body}, nil
	}
	return w.run(contract.ExportLookupContact, &contract.LookupContactInput{
		Command: w.command(), Connection: w.connection(), Contact: "0198-7",
	})
}

func TestLookupReadsAnyAnswer(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       contract.Contact
	}{
		{"plain", `{"fullName":"Oleg","login":"oleg","phone":"+1","email":"o@a.example","position":"clerk","age":41,"tags":["x"]}`,
			contract.Contact{Name: "Oleg", Login: "oleg", Phone: "+1", Email: "o@a.example", Attributes: map[string]string{"position": "clerk", "age": "41"}}},
		{"wrapped", `{"result":{"data":{"displayName":"Oleg","Name":"ignored"}}}`, contract.Contact{Name: "Oleg"}},
		{"empty", `{}`, contract.Contact{}},
		{"odd types", `{"name":["Oleg"],"phone":null,"login":7}`, contract.Contact{Login: "7", Attributes: nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t).connect()
			out := lookup(w, 200, tt.body)
			if out.Failure != nil || len(out.Events) != 1 {
				t.Fatalf("came to %+v", out)
			}
			got := *out.Events[0].Contact
			attributes, wantAttributes := got.Attributes, tt.want.Attributes
			got.Attributes, tt.want.Attributes, tt.want.ID = nil, nil, "0198-7"
			if got.ID != tt.want.ID || got.Name != tt.want.Name || got.Login != tt.want.Login || got.Phone != tt.want.Phone ||
				got.Email != tt.want.Email || (len(wantAttributes) > 0 && !maps.Equal(attributes, wantAttributes)) {
				t.Errorf("read %+v %v, want %+v %v", got, attributes, tt.want, wantAttributes)
			}
			if want := `{"type":"userInfo","token":"{{secret:outbound_token}}","data":{"userId":"0198-7"}}`; w.sent[0].Body != want {
				t.Errorf("posted %s, want %s", w.sent[0].Body, want)
			}
		})
	}
}

func TestLookupThatFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int64
		body   string
		class  contract.FailureClass
		code   string
		states int
	}{
		{"method unknown", 404, "", contract.FailurePermanent, "lookup_unsupported", 0},
		{"method breaks", 500, "", contract.FailurePermanent, "lookup_unsupported", 0},
		{"overloaded", 503, "", contract.FailureRetry, "platform_unavailable", 0},
		{"token refused", 401, "", contract.FailureReauthorise, "token_refused", 1},
		{"no JSON", 200, "ok", contract.FailurePermanent, "answer_unknown", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t).connect()
			out := lookup(w, tt.status, tt.body)
			if out.Failure == nil || out.Failure.Class != tt.class || out.Failure.Code != tt.code || len(out.Events) != tt.states {
				t.Errorf("came to %+v with events %+v, want %s %s", out.Failure, out.Events, tt.class, tt.code)
			}
		})
	}
}
