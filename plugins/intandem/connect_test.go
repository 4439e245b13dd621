package main

import (
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

func TestTheAppAndItsBusinessesAreKeptApart(t *testing.T) {
	w := connectedWorld(t)
	w.settings["business_uid"] = "another0business"
	for name, in := range map[contract.Export]contract.Appendable{
		contract.ExportSetupConnection: &contract.SetupConnectionInput{Command: w.command(), Connection: w.connection()},
		contract.ExportExchangeCode:    &contract.ExchangeCodeInput{Command: w.command(), Connection: w.connection(), Code: "c"},
		contract.ExportSendMessage:     &contract.SendMessageInput{Command: w.command(), Connection: w.connection(), Message: dana("msg_1", text("x"))},
	} {
		if out := w.run(name, in); out.Failure == nil || out.Failure.Code != "business_changed" || len(w.sent) != 0 {
			t.Errorf("%s for another business came to %+v", name, out)
		}
	}
}

func TestSetupTellsWhatToDo(t *testing.T) {
	w := newWorld(t)
	out := w.run(contract.ExportSetupConnection, &contract.SetupConnectionInput{Command: w.command(), Connection: w.connection()})
	if out.Failure != nil || len(out.Setup) == 0 || len(out.Capabilities) == 0 {
		t.Errorf("setup came to %+v", out)
	}
	w.wantEvents("connection.state needs_action consent_missing")
	app := w.run(contract.ExportSetupConnection, &contract.SetupConnectionInput{Command: w.command(), Connection: w.appConnection()})
	if app.Setup[0].Value != "{{receive_url}}" || app.Setup[1].Value != "{{receive_url}}" {
		t.Errorf("the app's setup is %+v", app.Setup)
	}
	w.wantEvents("connection.state connected ready")
	for name, value := range map[string]string{"business_uid": "../x", "api_url": "https://api.vcita.biz/x"} {
		w := newWorld(t, name, value)
		out := w.run(contract.ExportSetupConnection, &contract.SetupConnectionInput{Command: w.command(), Connection: w.connection()})
		if out.Failure == nil || out.Failure.Code != "setting_invalid" {
			t.Errorf("%s = %q came to %+v", name, value, out)
		}
	}
}

func TestAChannelOfAnotherConnectionIsRefused(t *testing.T) {
	w := newWorld(t)
	w.put(keyBusiness, business)
	w.put(keyChannel, `{"uid":"","state":"intended","tries":0}`)
	w.taken[routeChannel+"c1"] = true
	w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
		return &contract.HTTPResult{Status: 201, Body: `{"data":{"channel":{"uid":"c1","status":"pending"}}}`}, nil
	}
	if out := w.reconcile(workChannelCreate); out.Failure == nil || out.Failure.Code != "channel_taken" {
		t.Errorf("it came to %+v", out)
	}
}

func TestSetupGivesTheChannelWhatItLacks(t *testing.T) {
	for _, tt := range []struct {
		name, state string
		extra       []string
		work        string // what is asked for; empty if nothing
	}{
		{"none", "", nil, workChannelCreate},
		{"being made", channelIntended, nil, ""},
		{"unclear", channelUnclear, nil, ""},
		{"unclear, to be made again", channelUnclear, []string{"create_again", "true"}, workChannelCreate},
		{"deleted", channelDeleted, nil, ""},
		{"deleted, to be made again", channelDeleted, []string{"create_again", "true"}, workChannelCreate},
		{"active, with create_again left on", channelActive, []string{"create_again", "true"}, workChannelOpen},
		{"switched off", channelInactive, nil, workChannelActivate},
		{"in error", channelError, nil, workChannelActivate},
		{"to be moved", channelActive, []string{"move_to_app", "another"}, workChannelMove},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.extra...)
			w.put(keyBusiness, business)
			if tt.state != "" {
				w.put(keyChannel, `{"uid":"`+channelUID+`","state":"`+tt.state+`","tries":3}`)
			}
			w.run(contract.ExportSetupConnection, &contract.SetupConnectionInput{Command: w.command(), Connection: w.connection()})
			got := ""
			if len(w.due) > 0 {
				got = w.due[0].payload
			}
			if got != tt.work || len(w.due) > 1 {
				t.Errorf("setup asked for %+v, want %q", w.due, tt.work)
			}
		})
	}
}

func TestHowLongATokenLives(t *testing.T) {
	const jwt = "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NzI1MzIwMDB9.x" // exp: 3 March 2026, 10:00
	for _, tt := range []struct{ name, answer, want string }{
		{"an hour", `{"access_token":"a","expires_in":3600,"created_at":"2026-03-02T09:14:00.000Z"}`, "2026-03-02T11:00:00Z"},
		{"twenty years", `{"access_token":"a","expires_in":631139040,"created_at":1772445600}`, "2046-03-02T06:24:00Z"},
		{"as the JWT says", `{"access_token":"` + jwt + `"}`, "2026-03-03T10:00:00Z"},
		{"nobody says", `{"access_token":"a.b.c"}`, "0001-01-01T00:00:00Z"},
		{"nonsense", `{"access_token":"a","expires_in":"soon"}`, "0001-01-01T00:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			newWorld(t)
			doc, err := payload.Parse([]byte(tt.answer), payload.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got, ok := tokensOf(doc)
			if !ok || got.ExpiresAt.Format(time.RFC3339) != tt.want {
				t.Errorf("it expires %v, want %s", got.ExpiresAt, tt.want)
			}
		})
	}
}
