package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uchat/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// times counts the messages with a text that the bot got.
func (b *bot) times(text string) (n int) {
	for _, m := range b.ws.Received() {
		if m.Content == text {
			n++
		}
	}
	return n
}

// lostAnswer loses answers to messages that UChat took, and to some that it did not.
func (b *bot) lostAnswer() {
	lost := emulator.Step{Type: emulator.OpMessage, HangUp: true, Process: true}
	b.platform.Script(lost)
	id := b.writes("chat", "lost once")
	b.await("sent", stage.Status(id, contract.MessageSent))
	if n := b.times("lost once"); n != 2 {
		b.t.Errorf("it was posted %d times, want once more than it was taken", n)
	}
	b.platform.Script(lost, lost)
	b.writes("chat", "lost twice")
	b.poll("somebody to be asked", func() (bool, error) {
		return slices.ContainsFunc(b.commands(client.CommandFilter{Connection: b.connection.ID, Class: contract.FailureUncertain}), func(c client.Command) bool {
			return c.State == domain.JobParked && c.Failure.Code == "outcome_unknown"
		}), nil
	})
	b.platform.Script(
		emulator.Step{Type: emulator.OpMessage, Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
		emulator.Step{Type: emulator.OpMessage, Status: http.StatusBadGateway})
	began := time.Now()
	b.writes("chat", "refused twice")
	if took := time.Since(began); took < time.Second {
		b.t.Errorf("it was tried again after %v, although UChat asked for a second", took)
	}
	if n := b.times("refused twice"); n != 1 {
		b.t.Errorf("the bot has it %d times", n)
	}
	b.platform.Script(emulator.Step{Type: emulator.OpMessage, Status: http.StatusUnprocessableEntity})
	failed := b.send(b.connection.ID, message("chat", "invalid"))
	b.await("the failure", stage.Status(failed, contract.MessageFailed))
	b.writes("chat", "and on")
}

// refusals moves the bot, and has UChat refuse the key.
func (b *bot) refusals() {
	b.ws.MoveBot()
	b.writes("chat", "where are you?")
	b.platform.Script(emulator.Step{Type: emulator.OpMessage, Status: http.StatusUnauthorized})
	id := b.send(b.connection.ID, message("chat", "with a key that is refused"))
	h := b.stands(b.connection.ID, contract.StateNeedsAction, "token_refused")
	if h.Action == "" {
		b.t.Errorf("nobody is told what to do: %+v", h)
	}
	b.poll("the message to wait for somebody", func() (bool, error) {
		return len(b.commands(client.CommandFilter{Connection: b.connection.ID, Class: contract.FailureReauthorise, State: domain.JobParked})) == 1, nil
	})
	notices, err := b.people.Tenant.Notices(within(b.t), b.theatre.workspace.ID, client.NoticeFilter{Kind: domain.NoticeNeedsAction})
	if err != nil || !slices.ContainsFunc(notices.Items, func(n domain.Notice) bool { return n.Connection == b.connection.ID }) {
		b.t.Errorf("the tenant has the notices %+v (%v)", notices.Items, err)
	}
	if err := b.people.Tenant.RotateSecret(within(b.t), b.theatre.workspace.ID, b.connection.ID, "flow_key", "fk_emulator", 0); err != nil {
		b.t.Fatal(err)
	}
	again, err := b.people.Tenant.RetryCommands(within(b.t), b.theatre.workspace.ID, client.ParkedCommands{Connection: b.connection.ID, Class: contract.FailureReauthorise})
	if err != nil || again.Done != 1 {
		b.t.Fatalf("%+v were retried (%v) of %+v", again, err, b.commands(client.CommandFilter{Connection: b.connection.ID, State: domain.JobParked}))
	}
	b.await("sent", stage.Status(id, contract.MessageSent))
	b.stands(b.connection.ID, contract.StateConnected, "")
}

// rotation makes a new verification key. What is signed with the old one is believed for a
// while.
func (b *bot) rotation() {
	old := b.ws.Webhook().Key
	if err := b.people.Tenant.RotateSecret(within(b.t), b.theatre.workspace.ID, b.connection.ID, "verification_key", "", 10*time.Minute); err != nil {
		b.t.Fatal(err)
	}
	b.poll("UChat to have the new key", func() (bool, error) {
		hook := b.ws.Webhook()
		return hook.Key != old && hook.Status == "verified", nil
	})
	b.stands(b.connection.ID, contract.StateConnected, "verified")
	b.shookHands()
	b.says(emulator.Message{Text: "with the new key"})
	late := []byte(fmt.Sprintf(`{"message_type":"outgoing","content":"with the old key","conversation_id":%d,"id":"late-1"}`, b.customer.Conversation))
	answer, err := b.ws.Send(within(b.t), late, http.Header{"X-Hub-Signature-256": {signed(late, old)}})
	if err != nil || !answer.OK() {
		b.t.Errorf("what was signed before was answered %d (%v)", answer.Status, err)
	}
	b.inbound(b.connection.ID, "with the old key")
	if err := b.people.Tenant.RotateSecret(within(b.t), b.theatre.workspace.ID, b.connection.ID, "verification_key", "", 0); err != nil {
		b.t.Fatal(err)
	}
	current := b.ws.Webhook().Key
	b.poll("UChat to have the third key", func() (bool, error) { return b.ws.Webhook().Key != current, nil })
	for _, key := range []string{old, current} {
		late := []byte(fmt.Sprintf(`{"message_type":"outgoing","content":"too late","conversation_id":%d,"id":"late-%s"}`, b.customer.Conversation, key[:4]))
		if answer, err := b.ws.Send(within(b.t), late, http.Header{"X-Hub-Signature-256": {signed(late, key)}}); err != nil || answer.Status != http.StatusUnauthorized {
			b.t.Errorf("without overlap, an old key was answered %d (%v)", answer.Status, err)
		}
	}
	b.stands(b.connection.ID, contract.StateConnected, "verified")
	b.says(emulator.Message{Text: "with the third key"})
}

// strikes refuses signatures until somebody has to look, and a good one heals.
func (b *bot) strikes() {
	bad := http.Header{"X-Hub-Signature-256": {"sha256=" + "00"}}
	body := []byte(`{"message_type":"outgoing","content":"forged"}`)
	for i := range 20 {
		if i == 19 {
			b.stands(b.connection.ID, contract.StateConnected, "")
		}
		if answer, err := b.ws.Send(within(b.t), body, bad); err != nil || answer.Status != http.StatusUnauthorized {
			b.t.Fatalf("the %dth was answered %d (%v)", i, answer.Status, err)
		}
	}
	b.stands(b.connection.ID, contract.StateNeedsAction, "signatures_refused")
	b.says(emulator.Message{Text: "a good one at last"})
	b.stands(b.connection.ID, contract.StateConnected, "verified")
}

// taken finds a webhook of somebody else's, and leaves it until it may replace it.
func (b *bot) taken() {
	ours := b.ws.Webhook()
	theirs := emulator.Webhook{URL: "https://elsewhere.example/hook", Key: "their key", Status: "verified"}
	b.ws.Put(theirs)
	b.save()
	b.stands(b.connection.ID, contract.StateNeedsAction, "webhook_taken")
	if b.ws.Webhook() != theirs {
		b.t.Errorf("the webhook became %+v", b.ws.Webhook())
	}
	b.save("replace_webhook", "true")
	b.stands(b.connection.ID, contract.StateConnected, "verified")
	if hook := b.ws.Webhook(); hook.URL != ours.URL || hook.Key != ours.Key {
		b.t.Errorf("the webhook became %+v", hook)
	}
	b.save("replace_webhook", "false")
	b.stands(b.connection.ID, contract.StateConnected, "verified")
	b.says(emulator.Message{Text: "still here"})
}

// tenants has a second tenant use another workspace with the same names for everything.
func (b *bot) tenants() {
	rival := &bot{theatre: b.tenant("Rival", "uchat"), platform: b.platform, ws: b.platform.AddWorkspace("4712"), settings: map[string]string{"workspace_id": "4712"}}
	rival.connect()
	rival.writes("chat", "from the rival")
	rival.says(emulator.Message{Text: "to the rival"})
	rival.stands(rival.connection.ID, contract.StateConnected, "verified")
	before := b.footprint(b.connection.ID)
	n := len(rival.created())
	// Whom the rival's bot names is looked for among the rival's, whatever it names.
	answer, err := rival.ws.Say(within(b.t), b.customer, emulator.Message{Text: "to somebody else's customer"})
	if err != nil || !answer.OK() {
		b.t.Errorf("it was answered %d (%v)", answer.Status, err)
	}
	rival.says(emulator.Message{Text: "again to the rival"})
	for _, e := range rival.created()[n:] {
		if e.Data.Message.Conversation.ID != "chat" {
			b.t.Errorf("the rival heard %+v", e.Data.Message)
		}
	}
	// A body that the rival's key signs is nothing at this address, and the other way round.
	body := []byte(fmt.Sprintf(`{"message_type":"outgoing","content":"crossed","conversation_id":%d}`, b.customer.Conversation))
	for _, pair := range [][2]*bot{{b, rival}, {rival, b}} {
		answer, err := pair[0].ws.Send(within(b.t), body, http.Header{"X-Hub-Signature-256": {signed(body, pair[1].ws.Webhook().Key)}})
		if err != nil || answer.Status != http.StatusUnauthorized {
			b.t.Errorf("a crossed signature was answered %d (%v)", answer.Status, err)
		}
	}
	if now := b.footprint(b.connection.ID); now != before {
		b.t.Errorf("it was\n%s\nand is\n%s", before, now)
	}
}

// end removes the connection and with it the webhook.
func (b *bot) end() {
	if _, err := b.people.Tenant.RemoveConnection(within(b.t), b.theatre.workspace.ID, b.connection.ID); err != nil {
		b.t.Fatal(err)
	}
	url := b.connection.ReceiveURL
	b.poll("the webhook to be gone", func() (bool, error) { return b.ws.Webhook().URL == "", nil })
	b.poll("the connection to be gone", func() (bool, error) {
		_, err := b.people.Tenant.Connection(within(b.t), b.theatre.workspace.ID, b.connection.ID)
		return err != nil, nil
	})
	if status, _ := b.requested(http.MethodPost, url, "application/json", http.NoBody); status != http.StatusNotFound {
		b.t.Errorf("its address answers %d", status)
	}
}
