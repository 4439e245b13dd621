package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// version keeps one version of a plugin.
func (f *fixture) version(name, digest string) {
	f.t.Helper()
	f.ok(f.PutPlugin(f.t.Context(), domain.Plugin{Digest: digest, Manifest: manifest.Manifest{Name: name}, State: domain.PluginSubmitted, Active: true}))
}

// active returns the digests of the active versions, in order.
func (f *fixture) active() string {
	f.t.Helper()
	plugins, err := f.Plugins(f.t.Context())
	f.ok(err)
	var digests []string
	for _, p := range plugins {
		if p.Active {
			digests = append(digests, p.Digest)
		}
	}
	return strings.Join(digests, " ")
}

func (f *fixture) audited(actions ...string) {
	f.t.Helper()
	for _, action := range actions {
		f.ok(f.Audit(f.t.Context(), domain.AuditEntry{At: f.at, Actor: "ann", Action: action, Workspace: wsA, Seq: 77, Hash: "made up"}))
	}
}

var recordClaims = []claim{
	{"one version of a plugin is active, and only by being made so", func(t *testing.T, f *fixture) {
		f.version("acme", "sha256:1")
		f.version("acme", "sha256:2")
		f.version("other", "sha256:3")
		if got := f.active(); got != "" {
			t.Errorf("active: %s", got)
		}
		f.ok(f.ActivatePlugin(t.Context(), "acme", "sha256:1"))
		f.ok(f.ActivatePlugin(t.Context(), "other", "sha256:3"))
		f.ok(f.ActivatePlugin(t.Context(), "acme", "sha256:2"))
		if got, want := f.active(), "sha256:2 sha256:3"; got != want {
			t.Errorf("active: %s, want %s", got, want)
		}
		f.fails("another name", f.ActivatePlugin(t.Context(), "acme", "sha256:3"), domain.ErrNotFound)
		f.fails("another digest", f.ActivatePlugin(t.Context(), "acme", "sha256:4"), domain.ErrNotFound)
		f.version("acme", "sha256:2") // put again, it is as active as before
		if got, want := f.active(), "sha256:2 sha256:3"; got != want {
			t.Errorf("in the end active: %s, want %s", got, want)
		}
	}},
	{"an update of a plugin keeps which it is", func(t *testing.T, f *fixture) {
		f.version("acme", "sha256:1")
		_, err := f.UpdatePlugin(t.Context(), "sha256:1", func(p *domain.Plugin) error {
			p.Digest, p.Manifest.Name, p.Active, p.State = "sha256:x", "x", true, domain.PluginApproved
			p.Grant = &domain.Grant{Digest: "sha256:1", Secrets: []string{"token"}}
			return nil
		})
		f.ok(err)
		p, err := f.Plugin(t.Context(), "sha256:1")
		f.ok(err)
		if p.Manifest.Name != "acme" || p.Active || p.State != domain.PluginApproved || p.Grant.Secrets[0] != "token" {
			t.Errorf("the plugin is %+v", p)
		}
		_, err = f.Plugin(t.Context(), "sha256:x")
		f.fails("Plugin", err, domain.ErrNotFound)
		_, err = f.UpdatePlugin(t.Context(), "sha256:x", func(*domain.Plugin) error { return nil })
		f.fails("UpdatePlugin", err, domain.ErrNotFound)
	}},
	{"a file has one refusal", func(t *testing.T, f *fixture) {
		for _, r := range []domain.Refusal{{File: "b.wasm", Reason: "old"}, {File: "a.wasm", Reason: "bad"}, {File: "b.wasm", Reason: "new"}} {
			f.ok(f.PutRefusal(t.Context(), r))
		}
		list, err := f.Refusals(t.Context())
		f.ok(err)
		if len(list) != 2 || list[0].File != "a.wasm" || list[1].Reason != "new" {
			t.Errorf("Refusals = %v", list)
		}
		f.ok(f.DeleteRefusal(t.Context(), "a.wasm"))
		f.fails("DeleteRefusal again", f.DeleteRefusal(t.Context(), "a.wasm"), domain.ErrNotFound)
		if list, _ := f.Refusals(t.Context()); len(list) != 1 {
			t.Errorf("Refusals = %v", list)
		}
	}},
	{"media are found by handle", func(t *testing.T, f *fixture) {
		f.ok(f.PutMedia(t.Context(), domain.Media{Handle: "med_1", Workspace: wsA, Name: "a.png", SizeBytes: 3}))
		m, err := f.Media(t.Context(), "med_1")
		if f.ok(err); m.Workspace != wsA || m.Name != "a.png" || m.SizeBytes != 3 {
			t.Errorf("Media = %+v", m)
		}
		_, err = f.Media(t.Context(), "med_2")
		f.fails("Media", err, domain.ErrNotFound)
	}},
	{"the audit log is numbered and chained, and read newest first", func(t *testing.T, f *fixture) {
		f.audited("a", "b", "a", "c", "a")
		f.ok(f.VerifyAudit(t.Context()))
		list := pages(f, func(p domain.Page) ([]domain.AuditEntry, string, error) {
			return f.AuditEntries(t.Context(), domain.AuditFilter{}, p)
		})
		for i, e := range list {
			if e.Seq != uint64(5-i) || e.Hash == "made up" || i > 0 && e.Hash != list[i-1].Previous {
				t.Errorf("entry %d is %+v", i, e)
			}
		}
		for _, tt := range []struct {
			filter domain.AuditFilter
			want   int
		}{{domain.AuditFilter{Action: "a"}, 3}, {domain.AuditFilter{Workspace: wsA, Action: "b"}, 1}, {domain.AuditFilter{Workspace: wsB}, 0}} {
			list := pages(f, func(p domain.Page) ([]domain.AuditEntry, string, error) {
				return f.AuditEntries(t.Context(), tt.filter, p)
			})
			if len(list) != tt.want {
				t.Errorf("%+v selects %d entries, want %d", tt.filter, len(list), tt.want)
			}
		}
	}},
	{"a token that was revoked stays so until it expires", func(t *testing.T, f *fixture) {
		soon := time.Now().Add(time.Hour)
		f.ok(f.RevokeToken(t.Context(), "one", soon))
		f.ok(f.RevokeToken(t.Context(), "one", soon.Add(time.Hour)))
		f.ok(f.RevokeToken(t.Context(), "long gone", noon.AddDate(-20, 0, 0)))
		f.ok(f.RevokeToken(t.Context(), "two", soon))
		for jti, want := range map[string]bool{"one": true, "two": true, "three": false, "long gone": false} {
			if got, err := f.TokenRevoked(t.Context(), jti); got != want || err != nil {
				t.Errorf("TokenRevoked(%s) = %t, %v, want %t", jti, got, err, want)
			}
		}
	}},
	{"ids have their prefix and sort by time of making", func(t *testing.T, f *fixture) {
		last := ""
		for _, prefix := range []string{"evt", "evt_", "evt"} {
			id := f.NewID(prefix)
			if !strings.HasPrefix(id, "evt_") || len(id) != 4+26 || id <= last {
				t.Errorf("NewID(%q) = %q after %q", prefix, id, last)
			}
			last = id
		}
	}},
	{"stats count", func(t *testing.T, f *fixture) {
		before := f.Stats()
		f.ok(f.Ping(t.Context()))
		after := f.Stats()
		if after.Commits != before.Commits+1 || after.Writes != before.Writes+1 || after.FileBytes <= 0 || after.LargestGroup < 1 {
			t.Errorf("Stats() = %+v after %+v", after, before)
		}
	}},
	{"names of any kind come back as they were", func(t *testing.T, f *fixture) {
		for _, name := range []string{"", "\x00", "a\x00b", "\xff\xff", strings.Repeat("long", 1000), "con_a", "ünïcode/..", "\n"} {
			c := contract.ConversationID(name)
			e := f.text(c, "m"+name, "x")
			if strings.Contains(name, "\xff") {
				continue // no plugin can say that: its output is UTF-8
			}
			got := f.receive(e, f.status("m"+name, contract.MessageRead, true))
			if len(got.Events) != 2 {
				t.Errorf("%q: %d events, want 2", name, len(got.Events))
			}
			list, _, err := f.Messages(t.Context(), wsA, domain.MessageFilter{Connection: conA, Conversation: c}, domain.Page{})
			f.ok(err)
			if name != "" && (len(list) != 1 || list[0].Conversation.ID != c) {
				t.Errorf("%q: %d messages", name, len(list))
			}
		}
	}},
}
