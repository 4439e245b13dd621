package main

import (
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// connectedWorld is a world with an active channel, one customer with an active session, and a
// message each way.
func connectedWorld(t testing.TB, extra ...string) *world {
	w := newWorld(t, extra...)
	w.put(keyBusiness, business)
	w.put(keyChannel, `{"uid":"`+channelUID+`","state":"active","tries":0}`)
	w.put(prefixPerson+"tg-553201", personEntry(sessionActive))
	w.put(prefixSession+sessionUID, "tg-553201")
	w.put(prefixSent+"msg_8841", `{"message":"msg_8841","piece":1,"pieces":1,"chat":"tg-553201"}`)
	w.put(prefixStaff+staffUID, `{"chat":"tg-553201","status":""}`)
	for _, key := range []string{routeChannel + channelUID, routeSession + sessionUID, routeBusiness + business} {
		w.routes[key] = true
	}
	return w
}

func TestBadInput(t *testing.T) {
	long := strings.Repeat("x", 300)
	big := `{"channel_uid":"` + channelUID + `","message":"` + strings.Repeat("x", maxBodyBytes) + `"}`
	for _, tt := range []struct {
		name, method, path, kind, body string
		status                         int64
	}{
		{"a path that is none", "POST", "/nowhere", "", `{}`, 404},
		{"a path too deep", "PUT", "/channels/a/b", "", `{}`, 404},
		{"a uid that is none", "PUT", "/channels/a%20b", "", `{"status":"active"}`, 404},
		{"a uid too long", "PUT", "/sessions/" + long, "", `{"status":"active"}`, 404},
		{"a message uid too long", "PUT", "/messages/" + long, "", `{"status":"read","channel_uid":"` + channelUID + `"}`, 404},
		{"another method for a channel", "POST", "/channels/" + channelUID, "", `{"status":"active"}`, 405},
		{"another method for a message", "PUT", "/messages", "", businessMessage, 405},
		{"another method for typing", "DELETE", "/" + sessionUID + "/typing", "", `{"typing":true}`, 405},
		{"a form", "POST", "/messages", "application/x-www-form-urlencoded", "a=b", 415},
		{"a text", "PUT", "/channels/" + channelUID, "text/plain", `{"status":"active"}`, 415},
		{"a body too large", "POST", "/messages", "", big, 413},
		{"no body", "POST", "/messages", "", "", 400},
		{"a body cut short", "POST", "/messages", "", businessMessage[:80], 400},
		{"a list", "PUT", "/channels/" + channelUID, "", `[{"status":"active"}]`, 400},
		{"a name twice", "PUT", "/channels/" + channelUID, "", `{"status":"active","status":"deleted"}`, 400},
		{"a status of another type", "PUT", "/channels/" + channelUID, "", `{"status":7}`, 400},
		{"a session's status of another type", "PUT", "/sessions/" + sessionUID, "", `{"status":{}}`, 400},
		{"typing of another type", "POST", "/" + sessionUID + "/typing", "", `{"typing":"yes"}`, 400},
		{"a message without channel", "POST", "/messages", "", `{"external_uid":"x","message":"y","message_uid":"z"}`, 400},
		{"a message without person", "POST", "/messages", "", `{"message":"y","message_uid":"z","channel_uid":"` + channelUID + `"}`, 400},
		{"a message without uid", "POST", "/messages", "", `{"external_uid":"x","message":"y","channel_uid":"` + channelUID + `"}`, 400},
		{"a message's state without channel", "PUT", "/messages/msg_8841", "", `{"status":"read"}`, 400},
		{"a channel as a number", "POST", "/messages", "", `{"external_uid":"x","message":"y","message_uid":"z","channel_uid":7}`, 400},
		{"attachments that are no list", "POST", "/messages", "", strings.Replace(businessMessage, `"attachments":[`, `"attachments":"`, 1), 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := connectedWorld(t)
			before := len(w.kv)
			kind := tt.kind
			if kind == "" {
				kind = "application/json; charset=utf-8"
			}
			got := w.request(contract.Delivery{
				ID: "dlv_1", Method: tt.method, Path: tt.path, BodyBytes: int64(len(tt.body)),
				Headers: []contract.Header{{Name: "Content-Type", Value: kind}},
			}, tt.body)
			if got.Status != tt.status {
				t.Errorf("answered %d, want %d", got.Status, tt.status)
			}
			if len(w.events)+len(w.due)+len(w.parked) > 0 || len(w.kv) != before {
				t.Errorf("it had effects: events %v, work %v, parked %v", w.events, w.due, w.parked)
			}
		})
	}
}

func TestAnotherTenantsUIDsDoNothingHere(t *testing.T) {
	w := connectedWorld(t)
	for _, tt := range []struct{ name, method, path, body string }{
		{"a channel", "PUT", "/channels/another", `{"status":"deleted"}`},
		{"a session", "PUT", "/sessions/another", `{"status":"deleted"}`},
		{"a message", "POST", "/messages", strings.Replace(businessMessage, channelUID, "another", 1)},
		{"a message's state", "PUT", "/messages/msg_8841", `{"status":"read","channel_uid":"another"}`},
		{"typing", "POST", "/another/typing", `{"typing":true}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := contract.Delivery{ID: "dlv_1", Method: tt.method, Path: tt.path, BodyBytes: int64(len(tt.body))}
			out := w.receive(d, tt.body, nil) // as if it came to the connection's own address
			if out.Rejected == nil || out.Response.Status != 404 || out.Rejected.Code != "uid_unknown" {
				t.Errorf("receive answered %+v", out)
			}
		})
	}
}

func TestWhatNobodyClaimedWaits(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, body string
		status                   int64
		key                      string // that it waits for; empty if it does not
	}{
		{"a channel", "PUT", "/channels/another", `{"status":"active"}`, 204, "channel:another"},
		{"a session", "PUT", "/sessions/another", `{"status":"active"}`, 204, "session:another"},
		{"a message", "POST", "/messages", strings.Replace(businessMessage, channelUID, "another", 1), 204, "channel:another"},
		{"a message's state", "PUT", "/messages/m", `{"status":"read","channel_uid":"another"}`, 204, "channel:another"},
		{"typing", "PUT", "/sessions/another/typing", `{"typing":true}`, 404, ""},
		{"typing, as the guide has it", "POST", "/another/typing", `{"typing":true}`, 404, ""},
		{"a business that nobody is of", "GET", "/?business_uid=another", "", 200, ""},
		{"a business uid that is none", "GET", "/?business_uid=../x", "", 200, ""},
		{"no business", "GET", "/", "", 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := connectedWorld(t)
			got := w.deliver(tt.method, tt.path, tt.body)
			key := ""
			if len(w.parked) > 0 {
				key = w.parked[0].key
			}
			if got.Status != tt.status || key != tt.key || len(w.events) > 0 {
				t.Errorf("answered %d, waits for %q; want %d, %q", got.Status, key, tt.status, tt.key)
			}
		})
	}
}

func TestAProofIsNamedAndNotTold(t *testing.T) {
	w := connectedWorld(t)
	body := `{"typing":true}`
	w.request(contract.Delivery{
		ID: "dlv_1", Method: "POST", Path: "/" + sessionUID + "/typing", BodyBytes: int64(len(body)),
		Headers: []contract.Header{{Name: "X-Vcita-Signature", Value: "v3ry-secret"}, {Name: "Authorization", Value: "Bearer v3ry-secret"}},
	}, body)
	logs := strings.Join(w.logs, "\n")
	if !strings.Contains(logs, "X-Vcita-Signature") || !strings.Contains(logs, "Authorization") || strings.Contains(logs, "v3ry-secret") {
		t.Errorf("logged was %q", logs)
	}
}

// FuzzCallbacks claims that no request makes route or receive panic or fail, that what
// either rejects has no effects, and that receive does nothing for what is not ours.
func FuzzCallbacks(f *testing.F) {
	f.Add("PUT", "/channels/"+channelUID, "", `{"status":"active"}`)
	f.Add("PUT", "/sessions/"+sessionUID, "", `{"status":"inactive"}`)
	f.Add("POST", "/messages", "", businessMessage)
	f.Add("PUT", "/messages/msg_8841", "", `{"status":"read","channel_uid":"`+channelUID+`"}`)
	f.Add("POST", "/"+sessionUID+"/typing", "", `{"typing":true}`)
	f.Add("GET", "/", "business_uid="+business, "")
	f.Add("POST", "/messages", "", `{"attachments":[{"url":7}],"channel_uid":null}`)
	template := connectedWorld(f)
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		w := &world{t: t, settings: template.settings, app: template.app, kv: template.kv, clock: template.clock, tokens: template.tokens}
		d := contract.Delivery{ID: "dlv_1", Method: method, Path: path, Query: query, BodyBytes: int64(len(body))}
		route, err := connector{}.Route(w.begin(body), &contract.RouteInput{Delivery: d, Settings: w.app})
		if err != nil {
			t.Fatalf("Route failed though every host function worked: %v", err)
		}
		if err := route.Validate(); err != nil {
			t.Errorf("Route is against the contract: %v", err)
		}
		tx := w.begin(body)
		out, err := pdk.Connector(connector{}).Receive(tx, &contract.ReceiveInput{Delivery: d, Connection: w.connection()})
		if err != nil {
			t.Fatalf("Receive failed though every host function worked: %v", err)
		}
		if err := out.Validate(); err != nil {
			t.Errorf("Receive is against the contract: %v", err)
		}
		effects := len(out.Events) + len(out.Commands) + len(tx.writes)
		ours := strings.Contains(path, sessionUID) || strings.Contains(path+body, channelUID) || strings.Contains(body, `\u`)
		if effects > 0 && (out.Rejected != nil || !ours) {
			t.Errorf("Receive(%q %q %q) had effects: %+v, writes %v", method, path, body, out, tx.writes)
		}
		if out.Rejected != nil && (out.Response.Status < 400 || out.Response.Status > 499) {
			t.Errorf("Receive rejected with %d", out.Response.Status)
		}
	})
}
