package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

func TestELMA365HostileDeliveriesAreRefusedAndLeaveNothing(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	s.arrived(s.send("chat-1", "hi"))
	m, err := s.people.Messenger(within(t), s.workspace.ID, s.connection.ID)
	if err != nil {
		t.Fatal(err)
	}
	good := `{"type":"message","token":"` + m.Code + `","data":{"targetChatId":"chat-1","text":"forged","files":[]}}`
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	for range 64 {
		_, _ = zip.Write(make([]byte, 1<<20)) // to memory
	}
	_ = zip.Close()
	before := len(s.inbox.Events())
	for _, tt := range []struct {
		name   string
		body   string
		header http.Header
		want   int
	}{
		{"no body", "", nil, 400},
		{"no JSON", "hello", nil, 400},
		{"half a document", good[:len(good)-3], nil, 400},
		{"a document and more", good + "{}", nil, 400},
		{"an array", "[" + good + "]", nil, 400},
		{"a number for a type", strings.Replace(good, `"message"`, `7`, 1), nil, 400},
		{"a duplicate key", strings.Replace(good, `"type":"message"`, `"type":"message","type":"disconnect"`, 1), nil, 400},
		{"deep nesting", strings.Replace(good, `"files":[]`, `"files":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000), 1), nil, 400},
		{"invalid UTF-8", strings.Replace(good, "forged", "\xff\xfe", 1), nil, 400},
		{"files that are no list", strings.Replace(good, `[]`, `7`, 1), nil, 400},
		{"no token", strings.Replace(good, m.Code, "", 1), nil, 401},
		{"a guessed token", strings.Replace(good, m.Code, "guess", 1), nil, 401},
		{"a token of the right length", strings.Replace(good, m.Code, strings.Repeat("A", len(m.Code)), 1), nil, 401},
		{"another channel", strings.Replace(good, `"data"`, `"channelId":"5d0e6f0a-0000-0000-0000-000000000000","data"`, 1), nil, 404},
		{"an unknown chat", strings.Replace(good, "chat-1", "chat-of-another-tenant", 1), nil, 404},
		{"a body twice the limit", strings.Repeat("x", 2<<20), nil, 413},
		{"a gzip bomb", bomb.String(), http.Header{"Content-Encoding": {"gzip"}}, 415},
		{"too many header bytes", good, http.Header{"X-Long": {strings.Repeat("x", 20_000)}}, 431},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if status, text := s.post([]byte(tt.body), tt.header); status != tt.want || strings.Contains(text, m.Code) {
				t.Errorf("answered %d %.200s, want %d and no token", status, text, tt.want)
			}
		})
	}
	if status, _ := s.postTo(s.at.Ingress+"/in/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", []byte(good), nil); status != 404 {
		t.Errorf("an unknown endpoint is answered %d", status)
	}
	s.reply("chat-1", "still here", 200)
	s.await("a genuine reply afterwards", stage.Said("still here"))
	if events := s.inbox.Events(); len(events) != before+1 {
		t.Errorf("hostile deliveries made events: %+v", events[before:])
	}
	audit, err := s.people.Reviewer.Audit(within(t), client.AuditFilter{Action: "delivery.rejected"})
	if err != nil || len(audit.Items) < 12 {
		t.Errorf("%d rejections were audited, %v", len(audit.Items), err)
	}
	for _, d := range s.deliveries(domain.DeliveryRejected) {
		if d.Body != nil || strings.Contains(d.Reason, m.Code) {
			t.Errorf("a rejected delivery keeps %q (%s)", d.Body, d.Reason)
		}
	}
	if strings.Contains(s.log.String(), m.Code) {
		t.Error("the log holds the token")
	}
}

func TestELMA365ACallbackOnAnotherHostIsRefused(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := approved(t, platform, built.elma)
	s.connect(nil)
	m, err := s.people.Messenger(within(t), s.workspace.ID, s.connection.ID)
	if err != nil {
		t.Fatal(err)
	}
	channel := platform.AddChannel(m)
	for _, callback := range []string{
		"https://evil.test/api/messengers/external/other/webhook/1", "http://" + strings.TrimPrefix(platform.URL(), "https://") + "/x",
		"https://user:pass@" + strings.TrimPrefix(platform.URL(), "https://") + "/x", "https://169.254.169.254/x", "file:///etc/passwd", "",
	} {
		if answer, err := channel.ConnectWith(within(t), callback); err != nil || answer.OK() {
			t.Errorf("connect with callback %q was answered %d, %v", callback, answer.Status, err)
		}
	}
	if c, err := s.people.Tenant.Connection(within(t), s.workspace.ID, s.connection.ID); err != nil || c.State == contract.StateConnected {
		t.Errorf("the connection is %v, %v", c.State, err)
	}
}

func TestAnotherWorkspaceSeesNothing(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	id := s.send("chat-1", "mine")
	s.arrived(id)
	media, err := s.people.Tenant.Upload(within(t), s.workspace.ID, "a", "text/plain", strings.NewReader("mine"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.people.Operator.CreateWorkspace(within(t), "Rival")
	if err != nil {
		t.Fatal(err)
	}
	token, err := stage.Token(s.folders.Data, "workspace-admin", other.ID)
	if err != nil {
		t.Fatal(err)
	}
	rival := client.New(s.at.Management, token)
	defer rival.Close()
	ctx, mine := within(t), s.workspace.ID
	for _, ws := range []contract.WorkspaceID{mine, other.ID} { // by the front door, and through their own
		for name, ask := range map[string]func() error{
			"connection": func() error { _, err := rival.Connection(ctx, ws, s.connection.ID); return err },
			"setup":      func() error { _, err := rival.Setup(ctx, ws, s.connection.ID); return err },
			"message":    func() error { _, err := rival.Message(ctx, ws, id); return err },
			"messages":   func() error { _, err := rival.Messages(ctx, ws, s.connection.ID, client.MessageFilter{}); return err },
			"media":      func() error { d, err := rival.Download(ctx, ws, media.Handle); closeBody(d, err); return err },
			"send":       func() error { _, err := rival.Send(ctx, ws, s.connection.ID, message("chat-1", "theirs")); return err },
			"remove":     func() error { _, err := rival.RemoveConnection(ctx, ws, s.connection.ID); return err },
			"rotate":     func() error { return rival.RotateSecret(ctx, ws, s.connection.ID, "token", "", 0) },
			"their update": func() error {
				_, err := rival.UpdateConnection(ctx, ws, s.connection.ID, client.ConnectionPatch{})
				return err
			},
		} {
			if err := ask(); problemStatus(err) != 404 {
				t.Errorf("%s of another workspace, asked below %s: %v, want a problem 404", name, ws, err)
			}
		}
	}
	if _, err := rival.Events(ctx, mine, domain.Page{}); problemStatus(err) != 404 {
		t.Errorf("events of another workspace: %v", err)
	}
	if _, err := s.people.Reviewer.Events(ctx, mine, domain.Page{}); problemStatus(err) != 403 {
		t.Errorf("a reviewer reading messages: %v, want a problem 403", err)
	}
	if _, err := s.people.Tenant.AllowPrivateTargets(ctx, mine, s.connection.ID, []string{"127.0.0.1:1"}); problemStatus(err) != 403 {
		t.Errorf("a tenant allowing private targets: %v, want a problem 403", err)
	}
}

func closeBody(d client.Download, err error) {
	if err == nil {
		_ = d.Body.Close()
	}
}

func TestAPrivateAddressIsNotReachedUnlessAnOperatorAllowedIt(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := set(t, platform, nil)
	if _, err := s.people.Operator.AllowPrivateTargets(within(t), s.workspace.ID, s.connection.ID, []string{}); err != nil {
		t.Fatal(err)
	}
	sent, err := s.people.Tenant.Send(within(t), s.workspace.ID, s.connection.ID, message("chat-1", "hi"))
	if err != nil {
		t.Fatal(err)
	}
	s.poll("the command to have been tried twice", func() bool {
		c, err := s.people.Tenant.Command(within(t), s.workspace.ID, string(sent.Command.ID))
		if err != nil {
			t.Fatal(err)
		}
		return c.Attempts > 1
	})
	if got := s.posts(); len(got) != 0 {
		t.Errorf("the platform was posted %q", fmt.Sprint(got))
	}
}

func TestELMA365ACustomerCannotHaveASecretSentByWritingItsPlaceholder(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	m, err := s.people.Messenger(within(t), s.workspace.ID, s.connection.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"{{secret:token}}", "{{secret:outbound_token}}", "my code is {{secret:token}}", "{{media_base64:med_1}}"} {
		if got := s.arrived(s.send("chat-1", text)); strings.Contains(got.Text, m.Code) || got.Text == "" {
			t.Errorf("the operator sees %q instead of %q", got.Text, text)
		}
	}
}
