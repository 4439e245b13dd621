package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

func TestELMA365ConversationBothWays(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	id := s.send("chat-1", "Where is my parcel?")
	if got := s.arrived(id); got.Text != "Where is my parcel?" || got.User != "user-chat-1" {
		t.Errorf("the operator sees %+v", got)
	}
	s.await("its delivery", stage.Status(id, contract.MessageDelivered))
	s.reply("chat-1", "On its way.", 200)
	event := s.await("the reply", stage.Said("On its way."))
	if event.Subject != "chat-1" || event.Type != "patchbay.message.created" || event.SpecVersion != "1.0" ||
		event.Source != fmt.Sprintf("/workspaces/%s/connections/%s", s.workspace.ID, s.connection.ID) {
		t.Errorf("the envelope is %+v", event)
	}
	if _, err := s.channel.MarkRead(within(t), string(id)); err != nil {
		t.Fatal(err)
	}
	s.await("the read mark", stage.Status(id, contract.MessageRead))
	kept, err := s.people.Tenant.Message(within(t), s.workspace.ID, id)
	if err != nil || kept.Status != contract.MessageRead || kept.Direction != domain.Outbound {
		t.Errorf("the message is %+v, %v", kept, err)
	}
	page, err := s.people.Tenant.Messages(within(t), s.workspace.ID, s.connection.ID, client.MessageFilter{Conversation: "chat-1"})
	if err != nil || len(page.Items) != 2 || stage.Text(&page.Items[1].Message) != "On its way." {
		t.Errorf("the conversation is %+v, %v", page.Items, err)
	}
}

func TestELMA365FilesBothWays(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	want := bytes.Repeat([]byte("a file of the customer\n"), 10_000)
	media, err := s.people.Tenant.Upload(within(t), s.workspace.ID, "label.txt", "text/plain", bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	m := message("chat-1", "here")
	m.Parts = append(m.Parts, contract.Part{Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaFile, Handle: media.Handle, Name: "label.txt"}})
	sent, err := s.people.Tenant.Send(within(t), s.workspace.ID, s.connection.ID, m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.channel.WaitMessage(within(t), func(m emulator.Message) bool { return m.ID == string(sent.Message.ID) && m.Processed })
	if err != nil || len(got.Files) != 1 || !bytes.Equal(got.Files[0].Content, want) {
		t.Errorf("the platform downloaded %d files, %v", len(got.Files), err)
	}

	bytesOut := bytes.Repeat([]byte{0, 1, 2, 3}, 50_000)
	answer, err := s.channel.Reply(within(t), emulator.Reply{Chat: "chat-1", Text: "see", Files: []emulator.File{
		{Name: "route.bin", Content: bytesOut}, {Name: "other.txt", Content: []byte("hello"), ClaimedSize: 7}}})
	if err != nil || !answer.OK() {
		t.Fatalf("%d %v", answer.Status, err)
	}
	s.reply("chat-1", "after the files", 200)
	event := s.await("the reply with files", stage.Said("see"))
	parts := event.Data.Message.Parts
	if len(parts) != 3 || parts[1].Media.Handle == "" || parts[2].Media.Handle == "" || parts[1].Media.SourceURL != "" || parts[2].Media.SizeBytes != 5 {
		encoded, _ := json.Marshal(parts)
		t.Fatalf("the parts are %s", encoded)
	}
	download, err := s.people.Tenant.Download(within(t), s.workspace.ID, parts[1].Media.Handle)
	if err != nil {
		t.Fatal(err)
	}
	defer download.Body.Close()
	if got, err := io.ReadAll(download.Body); err != nil || !bytes.Equal(got, bytesOut) {
		t.Errorf("downloaded %d bytes, %v", len(got), err)
	}
	after := s.await("the reply after it", stage.Said("after the files"))
	if after.Sequence <= event.Sequence && len(after.Sequence) == len(event.Sequence) {
		t.Errorf("the later reply has sequence %s, the earlier %s", after.Sequence, event.Sequence)
	}
}

func TestELMA365AFileThatIsTakenAwayIsNamedAndHoldsNothingUp(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	s.arrived(s.send("chat-1", "hi"))
	body, err := json.Marshal(map[string]any{"targetChatId": "chat-1", "text": "see", "files": []any{
		map[string]any{"name": "x.pdf", "size": 1, "URL": s.platform.URL() + "/files/none"},
		map[string]any{"name": "y.pdf", "size": 1, "URL": "https://169.254.169.254/latest/meta-data"}}})
	if err != nil {
		t.Fatal(err)
	}
	messenger, err := s.people.Messenger(within(t), s.workspace.ID, s.connection.ID)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := s.channel.Send(within(t), emulator.Envelope{Type: "message", Token: messenger.Code, Data: json.RawMessage(body)}); err != nil || !answer.OK() {
		t.Fatalf("answered %d %s, %v", answer.Status, answer.Body, err)
	}
	event := s.await("the reply", stage.Said("see"))
	for _, part := range event.Data.Message.Parts[1:] {
		if part.Media == nil || part.Media.Handle != "" || part.Media.Missing == "" {
			t.Errorf("a file that cannot be had is %+v", part.Media)
		}
	}
}

func TestELMA365UserInfoIsForKnownPeopleOnly(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), map[string]string{"user_info_keys": "fullName=displayName"})
	s.arrived(s.send("chat-1", "hi"))
	for _, tt := range []struct{ user, key, want string }{
		{"user-chat-1", "displayName", "Dana Petrova"}, {"user-chat-1", "phone", "+37060012345"},
		{"user-chat-1", "avatar", ""}, {"stranger", "login", "stranger"}, {"stranger", "phone", ""},
	} {
		answer, err := s.channel.AskUserInfo(within(t), tt.user)
		var got map[string]string
		if err == nil {
			err = json.Unmarshal(answer.Body, &got)
		}
		if err != nil || !answer.OK() || got[tt.key] != tt.want {
			t.Errorf("userInfo of %s: %d %s (%v), want %s = %q", tt.user, answer.Status, answer.Body, err, tt.key, tt.want)
		}
	}
}

func TestELMA365DisconnectEndsTheConnectionAndConnectRevivesIt(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	if answer, err := s.channel.Disconnect(within(t)); err != nil || !answer.OK() {
		t.Fatalf("%d, %v", answer.Status, err)
	}
	s.await("the end", stage.State(s.connection.ID, contract.StateDisconnected))
	id := s.send("chat-1", "anybody there?")
	s.await("its failure", stage.Status(id, contract.MessageFailed))
	channel, err := s.people.EnterSetup(within(t), s.workspace.ID, s.connection.ID, s.platform) // made again, with a new id
	if err != nil {
		t.Fatal(err)
	}
	s.channel = channel
	s.arrived(s.send("chat-1", "and now?"))
}

func TestELMA365RemovingAConnectionTellsThePlatform(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	if _, err := s.people.Tenant.RemoveConnection(within(t), s.workspace.ID, s.connection.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.channel.WaitState(within(t), emulator.ChannelDisconnected); err != nil {
		t.Fatal(err)
	}
	s.poll("the connection to be gone", func() bool {
		_, err := s.people.Tenant.Connection(within(t), s.workspace.ID, s.connection.ID)
		problem, ok := err.(*client.Problem)
		return ok && problem.Status == http.StatusNotFound
	})
	if status, _ := s.post([]byte("{}"), nil); status != 404 {
		t.Errorf("its endpoint answers %d", status)
	}
}

func TestELMA365AFailedReplyIsTold(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	s.arrived(s.send("chat-1", "hi"))
	s.reply("chat-1", "Do not lose this", 200)
	event := s.await("the reply", stage.Said("Do not lose this"))
	if _, err := s.people.Tenant.ReportStatus(within(t), s.workspace.ID, event.Data.Message.ID, client.StatusReport{Status: contract.MessageFailed, Reason: "the customer blocked us"}); err != nil {
		t.Fatal(err)
	}
	notice, err := s.channel.WaitMessage(within(t), func(m emulator.Message) bool { return strings.Contains(m.Text, "could not be delivered") })
	if err != nil || notice.User != "user-chat-1" {
		t.Errorf("the notice is %+v, %v", notice, err)
	}
}

func TestELMA365ASendIsAcceptedOncePerIdempotencyKey(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	m := message("chat-1", "once")
	m.IdempotencyKey = "7f0c"
	first, err := s.people.Tenant.Send(within(t), s.workspace.ID, s.connection.ID, m)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.people.Tenant.Send(within(t), s.workspace.ID, s.connection.ID, m)
	if err != nil || again.Message.ID != first.Message.ID {
		t.Errorf("the repeat is %+v, %v", again, err)
	}
	m.Parts[0].Text.Plain = "twice"
	if _, err := s.people.Tenant.Send(within(t), s.workspace.ID, s.connection.ID, m); problemStatus(err) != 422 {
		t.Errorf("the same key with another message = %v, want a problem 422", err)
	}
	s.arrived(first.Message.ID)
	s.arrived(s.send("chat-1", "last"))
	if sessions := s.channel.Sessions(); len(sessions) != 1 || len(sessions[0].Messages) != 2 {
		t.Errorf("the operator has %+v", sessions)
	}
}

func problemStatus(err error) int {
	if problem, ok := err.(*client.Problem); ok {
		return problem.Status
	}
	return 0
}

func TestELMA365TheEventStreamResumesExactly(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	s.arrived(s.send("chat-1", "hi"))
	var want []string
	for i := range 20 {
		text := fmt.Sprint("reply ", i)
		s.reply("chat-1", text, 200)
		want = append(want, text)
	}
	s.await("the last reply", stage.Said("reply 19"))
	middle := s.await("a reply in the middle", stage.Said("reply 9"))
	s.inbox.Close()
	s.listen(middle.Sequence)
	s.await("the last reply again", stage.Said("reply 19"))
	var got []string
	for _, e := range s.inbox.Events() {
		if e.Data.Message != nil {
			got = append(got, stage.Text(e.Data.Message))
		}
	}
	if !slices.Equal(got, want[10:]) {
		t.Errorf("after the tenth: %q", got)
	}
	page, err := s.people.Tenant.Events(within(t), s.workspace.ID, domain.Page{After: middle.Sequence, Limit: 3})
	if err != nil || len(page.Items) != 3 || stage.Text(page.Items[0].Data.Message) != "reply 10" {
		t.Errorf("the listing after the tenth: %+v, %v", page, err)
	}
}

func TestELMA365APersonIsLookedUpAndTheConnectionChecked(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{Users: map[string]emulator.User{
		"0198-7": {FullName: "Olga Operator", Login: "olga", Position: "Support"}}}), nil)
	if _, err := s.people.Tenant.LookupContact(within(t), s.workspace.ID, s.connection.ID, "0198-7"); err != nil {
		t.Fatal(err)
	}
	event := s.await("the person", func(e client.Event) bool { return e.Data.Kind == contract.EventContactUpdated })
	if c := event.Data.Contact; c == nil || c.ID != "0198-7" || c.Name != "Olga Operator" {
		t.Errorf("the person is %+v", c)
	}
	check, err := s.people.Tenant.CheckConnection(within(t), s.workspace.ID, s.connection.ID)
	if err != nil {
		t.Fatal(err)
	}
	s.poll("the check to end", func() bool {
		c, err := s.people.Tenant.Command(within(t), s.workspace.ID, string(check.ID))
		if err != nil {
			t.Fatal(err)
		}
		return c.State == domain.JobDone && c.Command.Result != nil && c.Command.Result.Health != nil
	})
}
