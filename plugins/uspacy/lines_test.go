package main

import (
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

func (d *desk) setup() *contract.CommandOutput {
	d.t.Helper()
	return d.run(contract.ExportSetupConnection, &contract.SetupConnectionInput{Command: d.command(1), Connection: d.connection()})
}

func TestSetupWaitsForTheInstall(t *testing.T) {
	d := newDesk(t, emulator.Options{})
	delete(d.kv, keyInstallation)
	out := d.setup()
	if out.Failure != nil || len(out.Setup) == 0 || len(out.Capabilities) == 0 || len(out.Commands) > 0 {
		t.Errorf("setup came to %+v", out)
	}
	if len(d.p.Exchanges()) > 0 {
		t.Errorf("setup called the portal: %+v", d.p.Exchanges())
	}
	d.wantEvents("connection.state connecting")
	if out := d.reconcile(lineWork().Payload); out.Failure == nil || out.Failure.Code != "not_installed" {
		t.Errorf("the line came to %+v", out.Failure)
	}
}

func TestSetupMakesTheLineOnce(t *testing.T) {
	d := newDesk(t, emulator.Options{}, "line_icon_url", "https://hub.example.net/telegram.svg")
	for range 3 {
		d.setup()
		d.advance(time.Second)
	}
	lines := d.o.Lines()
	if len(lines) != 1 || lines[0].Name != "Shop bot" || lines[0].Icon != "https://hub.example.net/telegram.svg" || lines[0].ExternalID != "patchbay:con_7Y2K" {
		t.Fatalf("the lines are %+v", lines)
	}
	if !d.routes[routeLine+lines[0].ID] {
		t.Errorf("the routes are %v", d.routes)
	}
	d.settings["line_name"] = "Night shift"
	d.setup()
	d.advance(time.Second)
	if name := d.o.Lines()[0].Name; name != "Night shift" {
		t.Errorf("the line is called %q", name)
	}
	if n := d.p.Count(emulator.OpLineEdit); n != 1 {
		t.Errorf("the line was renamed %d times", n)
	}
}

func TestTheLineIsFoundAgain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []emulator.Step
		lose  bool // what was known of the line
		tries int
	}{
		{"after an answer that got lost", []emulator.Step{{Op: emulator.OpLineCreate, HangUp: true, Process: true}}, false, 2},
		{"after an answer of 500", []emulator.Step{{Op: emulator.OpLineCreate, Status: 500, Process: true}}, false, 2},
		{"by a new connection's first setup", nil, true, 1},
		{"after nonsense in its place", []emulator.Step{{Op: emulator.OpLineList, Body: `"x"`}}, false, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, emulator.Options{})
			d.p.Script(tt.steps...)
			tries := 1
			for ; d.reconcile(lineWork().Payload).Failure != nil && tries < 5; tries++ {
			}
			if tt.lose {
				delete(d.kv, keyLine)
				d.reconcile(lineWork().Payload)
			}
			if tries != tt.tries || len(d.o.Lines()) != 1 || d.p.Count(emulator.OpLineCreate) != 1 {
				t.Errorf("%d tries, %d lines, %d made; want %d tries and one line", tries, len(d.o.Lines()), d.p.Count(emulator.OpLineCreate), tt.tries)
			}
		})
	}
}

func TestALineThatCannotBeHad(t *testing.T) {
	for _, tt := range []struct {
		name   string
		prep   func(d *desk)
		code   string
		events []string
	}{
		{"the portal refuses it", func(d *desk) { d.p.Script(emulator.Step{Op: emulator.OpLineCreate, Status: 422}) }, "platform_refused", []string{"connection.state needs_action"}},
		{"the token is refused", func(d *desk) { d.o.ExpireAccess() }, "token_refused", nil},
		{"the portal is away", func(d *desk) { d.p.Script(emulator.Step{Op: emulator.OpLineList, Status: 503}) }, "platform_unavailable", nil},
		{"another connection has it", func(d *desk) {
			d.reconcile(lineWork().Payload)
			d.kinds()
			d.taken[routeLine+d.o.Lines()[0].ID] = true
		}, "line_taken", []string{"connection.state needs_action"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, emulator.Options{})
			tt.prep(d)
			out := d.reconcile(lineWork().Payload)
			if out.Failure == nil || out.Failure.Code != tt.code {
				t.Errorf("the line came to %+v, want %s", out.Failure, tt.code)
			}
			d.wantEvents(tt.events...)
		})
	}
}

func TestSettingsThatAreNone(t *testing.T) {
	for name, value := range map[string]string{
		"portal_url": "https://acme.uspacy.ua/path", "chat_default_members": "18,boss", "file_hosts": "https://files.example.com",
	} {
		d := newDesk(t, emulator.Options{}, name, value)
		if out := d.setup(); out.Failure == nil || out.Failure.Code != "setting_invalid" || !strings.Contains(out.Failure.Message, name) {
			t.Errorf("%s=%s came to %+v", name, value, out.Failure)
		}
	}
}

func TestAPortalOfAnotherName(t *testing.T) {
	d := ready(t, emulator.Options{})
	d.settings["portal_url"] = "https://globex.uspacy.ua"
	d.setup()
	d.wantEvents("connection.state needs_action")
	if out := d.say("msg_1", "hello"); out.Failure == nil || out.Failure.Code != "portal_mismatch" {
		t.Errorf("the send came to %+v", out.Failure)
	}
}

func TestTeardown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		extra []string
		prep  func(d *desk)
		lines int
	}{
		{"removes the line", nil, func(*desk) {}, 0},
		{"keeps the line", []string{"line_at_teardown", "keep"}, func(*desk) {}, 1},
		{"stops whatever the portal says", nil, func(d *desk) { d.o.ExpireAccess() }, 1},
		{"stops although the portal is away", nil, func(d *desk) { d.p.Script(emulator.Step{HangUp: true}) }, 1},
		{"finds no line", nil, func(d *desk) { d.o.RemoveLine(d.o.Lines()[0].ID) }, 0},
		{"finds no installation", nil, func(d *desk) { delete(d.kv, keyInstallation) }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := ready(t, emulator.Options{}, tt.extra...)
			tt.prep(d)
			out := d.run(contract.ExportTeardownConnection, &contract.TeardownConnectionInput{Command: d.command(1), Connection: d.connection()})
			if out.Failure != nil || len(d.o.Lines()) != tt.lines {
				t.Errorf("came to %+v with %d lines, want %d", out.Failure, len(d.o.Lines()), tt.lines)
			}
			for route, there := range d.routes {
				if there {
					t.Errorf("the route %s is left", route)
				}
			}
			d.wantEvents("connection.state disconnected")
		})
	}
}

func TestHealth(t *testing.T) {
	for _, tt := range []struct {
		name     string
		prep     func(d *desk)
		code     string
		detail   string
		mends    bool
		calls    int
		scenario emulator.Options
	}{
		{name: "all is well", prep: func(*desk) {}, detail: "the external line is there", calls: 1},
		{name: "the line is gone", prep: func(d *desk) { d.o.RemoveLine(d.o.Lines()[0].ID) }, detail: "being made", mends: true, calls: 1},
		{name: "the token is refused", prep: func(d *desk) { d.o.ExpireAccess() }, code: "token_refused", calls: 1},
		{name: "the portal is away", prep: func(d *desk) { d.p.Script(emulator.Step{Status: 502}) }, code: "platform_unavailable", calls: 1},
		{name: "the app was removed", prep: func(d *desk) {
			d.kv[keyInstallation] = deskEntry{value: installation{domain: acme, state: installGone}.encode(), version: 2}
		}, code: "uninstalled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := ready(t, tt.scenario)
			before := len(d.p.Exchanges())
			tt.prep(d)
			out := d.run(contract.ExportCheckHealth, &contract.CheckHealthInput{Command: d.command(1), Connection: d.connection()})
			switch {
			case tt.code != "" && (out.Failure == nil || out.Failure.Code != tt.code):
				t.Errorf("came to %+v, want %s", out.Failure, tt.code)
			case tt.code == "" && (out.Health == nil || !out.Health.CredentialsValid || !strings.Contains(out.Health.Detail, tt.detail)):
				t.Errorf("came to %+v, %+v", out.Health, out.Failure)
			}
			if (len(out.Commands) > 0) != tt.mends || len(d.p.Exchanges())-before != tt.calls {
				t.Errorf("asks for %+v after %d calls", out.Commands, len(d.p.Exchanges())-before)
			}
			if d.advance(time.Second); tt.mends && len(d.o.Lines()) != 1 {
				t.Error("the line was not made anew")
			}
		})
	}
}
