package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// ChannelState is where a channel stands on the platform's side.
type ChannelState string

// The states of a channel.
const (
	ChannelNew          ChannelState = "new"
	ChannelActive       ChannelState = "active"
	ChannelError        ChannelState = "error"
	ChannelDisconnected ChannelState = "disconnected"
)

// Messenger is what an administrator fills in to add an arbitrary messenger.
type Messenger struct {
	// Webhook is the messenger's receive URL.
	Webhook string
	// Code is the confirmation code, which becomes the token.
	Code string
}

// Channel is one arbitrary messenger of a live chat.
type Channel struct {
	p       *Platform
	id      string
	webhook string
	code    string

	state    ChannelState
	sessions []*session
	open     map[string]*session
	messages map[string]*Message
	users    map[string]bool
}

// Answer is what a messenger answered to a webhook.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Took   time.Duration
}

// OK tells whether the answer is success, which is exactly 200.
func (a Answer) OK() bool { return a.Status == http.StatusOK }

// Envelope is the body of a webhook. Extra goes in as it is and may replace the rest.
type Envelope struct {
	Type      string
	Token     string
	ChannelID string // empty leaves the key out
	Data      any    // nil leaves the key out
	Extra     map[string]any
}

// Connect adds a messenger and sends connect. The channel is active if the answer is
// 200; otherwise the error says what it was.
func (p *Platform) Connect(ctx context.Context, m Messenger) (*Channel, error) {
	c := p.AddChannel(m)
	answer, err := c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if !answer.OK() {
		return nil, fmt.Errorf("emulator: connect was answered %d: %s", answer.Status, answer.Body)
	}
	return c, nil
}

// AddChannel adds a messenger without sending connect.
func (p *Platform) AddChannel(m Messenger) *Channel {
	c := &Channel{
		p: p, id: p.newID(), webhook: m.Webhook, code: m.Code, state: ChannelNew,
		open: map[string]*session{}, messages: map[string]*Message{}, users: map[string]bool{},
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.channels[c.id] = c
	return c
}

// ID is the platform's name for the channel.
func (c *Channel) ID() string { return c.id }

// CallbackURL is where the messenger posts to.
func (c *Channel) CallbackURL() string {
	return c.p.url + c.p.opts.Prefix + "/api/messengers/external/" + c.p.opts.MessengerCode + "/webhook/" + c.id
}

// State is where the channel stands.
func (c *Channel) State() ChannelState {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.state
}

func (c *Channel) setState(s ChannelState) {
	c.p.mu.Lock()
	c.state = s
	c.p.mu.Unlock()
	c.p.rec.Wake()
}

// WaitState waits until the channel stands at s.
func (c *Channel) WaitState(ctx context.Context, s ChannelState) error {
	if err := c.p.rec.Until(ctx, func() bool { return c.State() == s }); err != nil {
		return fmt.Errorf("emulator: the channel is %s, not %s: %w", c.State(), s, err)
	}
	return nil
}

// SetCode changes the confirmation code, as recreating the channel with another would.
func (c *Channel) SetCode(code string) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.code = code
}

// Connect sends connect with the channel's own callback URL. An answer of 200 makes the
// channel active, every other one puts it into error.
func (c *Channel) Connect(ctx context.Context) (Answer, error) {
	return c.ConnectWith(ctx, c.CallbackURL())
}

// ConnectWith sends connect with any callback URL, honest or not.
func (c *Channel) ConnectWith(ctx context.Context, callback string) (Answer, error) {
	answer, err := c.Send(ctx, c.envelope("connect", map[string]any{"webhook": callback}, true))
	if err == nil && answer.OK() {
		c.setState(ChannelActive)
	} else {
		c.setState(ChannelError)
	}
	return answer, err
}

// Reply is an operator's message.
type Reply struct {
	// Chat is the conversation (targetChatId).
	Chat  string
	Text  string
	Files []File
}

// Reply sends an operator's message.
func (c *Channel) Reply(ctx context.Context, r Reply) (Answer, error) {
	files := make([]map[string]any, 0, len(r.Files))
	for _, f := range r.Files {
		size := f.ClaimedSize
		if size == 0 {
			size = int64(len(f.Content))
		}
		files = append(files, map[string]any{"name": f.Name, "size": size, c.p.opts.FileKey: c.p.share(f)})
	}
	c.assign(r.Chat)
	data := map[string]any{"targetChatId": r.Chat, "text": r.Text, "files": files}
	return c.Send(ctx, c.envelope("message", data, true))
}

// MarkRead tells the messenger that an operator read a customer's message.
func (c *Channel) MarkRead(ctx context.Context, messageID string) (Answer, error) {
	c.p.mu.Lock()
	if m := c.messages[messageID]; m != nil {
		m.Read = true
	}
	c.p.mu.Unlock()
	return c.Send(ctx, c.envelope("markAsRead", map[string]any{"messageId": messageID}, false))
}

// Outcome reports what became of a customer's message. Messages are reported without
// being asked, as the [Step] says; this is for reports that nothing gave rise to.
func (c *Channel) Outcome(ctx context.Context, messageID string, success bool) (Answer, error) {
	data := map[string]any{"success": success, "messageId": messageID}
	return c.Send(ctx, c.envelope("messageOutcome", data, false))
}

// AskUserInfo asks the messenger for a person's details.
func (c *Channel) AskUserInfo(ctx context.Context, userID string) (Answer, error) {
	return c.Send(ctx, c.envelope("userInfo", map[string]any{"userId": userID}, false))
}

// Disconnect removes the channel and tells the messenger.
func (c *Channel) Disconnect(ctx context.Context) (Answer, error) {
	c.setState(ChannelDisconnected)
	return c.Send(ctx, c.envelope("disconnect", nil, true))
}

// envelope is the body of a webhook; documented tells whether the samples of its type
// show channelId.
func (c *Channel) envelope(kind string, data any, documented bool) Envelope {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	e := Envelope{Type: kind, Token: c.code, Data: data}
	if documented || c.p.opts.ChannelIDEverywhere {
		e.ChannelID = c.id
	}
	return e
}

// MarshalJSON writes the envelope as the platform does.
func (e Envelope) MarshalJSON() ([]byte, error) {
	out := map[string]any{"type": e.Type, "token": e.Token}
	if e.ChannelID != "" {
		out["channelId"] = e.ChannelID
	}
	if e.Data != nil {
		out["data"] = e.Data
	}
	for key, value := range e.Extra {
		out[key] = value
	}
	return json.Marshal(out)
}

// Send posts a webhook of any content. The error says that no answer came.
func (c *Channel) Send(ctx context.Context, e Envelope) (Answer, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return Answer{}, fmt.Errorf("emulator: write %s: %w", e.Type, err)
	}
	return c.SendRaw(ctx, e.Type, body)
}

// SendRaw posts a webhook with any body at all; kind is what the record calls it.
func (c *Channel) SendRaw(ctx context.Context, kind string, body []byte) (Answer, error) {
	ctx, cancel, err := c.p.server.Bind(ctx)
	if err != nil {
		return Answer{}, err
	}
	defer cancel()
	ex := Exchange{
		Way: ToMessenger, Type: kind, Channel: c.id, MessageID: messageID(body),
		URL: c.webhook, Body: body, Began: c.p.now(),
	}
	answer, err := c.post(ctx, &ex)
	answer.Took = c.p.now().Sub(ex.Began)
	ex.Status, ex.Response, ex.Took, ex.Err = answer.Status, answer.Body, answer.Took, errText(err)
	c.p.rec.Add(ex)
	if err != nil {
		return answer, fmt.Errorf("emulator: %s to the messenger: %w", kind, err)
	}
	return answer, nil
}

// post makes the request.
func (c *Channel) post(ctx context.Context, ex *Exchange) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.webhook, bytes.NewReader(ex.Body))
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	ex.Header = req.Header.Clone()
	answer, err := emulate.Do(c.p.client, req)
	return Answer{Status: answer.Status, Header: answer.Header, Body: answer.Body}, err
}

// messageID reads the message's id out of a webhook, for the record.
func messageID(body []byte) string {
	var envelope struct {
		Data struct {
			MessageID string `json:"messageId"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &envelope) != nil {
		return ""
	}
	return envelope.Data.MessageID
}
