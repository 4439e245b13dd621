package emulator

import (
	"context"
	"errors"
	"net/http"
	"path"
	"strconv"
)

// Message is what a bot or agent says: words, and at most one of the rest.
type Message struct {
	Text string
	// Agent is the name of the agent who says it; empty is the bot.
	Agent string
	// Buttons makes a button template below Text.
	Buttons []Button
	// Cards makes a generic template: one is a card, several a carousel.
	Cards []Card
	// File is an attachment.
	File *File
}

// Button is one button of a template: Payload comes back, URL is opened, or Phone is called.
type Button struct{ Title, Payload, URL, Phone string }

// Card is one element of a generic template.
type Card struct {
	Title, Subtitle string
	Image           *File
	Buttons         []Button
}

// File is an attachment that the platform serves.
type File struct {
	// Kind is "image", "audio", "video" or "file".
	Kind    string
	Name    string
	MIME    string
	Content []byte
	// URL replaces the link; empty links to the platform, which then serves Content.
	URL string
}

// ErrNoWebhook means that the workspace has no verified webhook to say anything to.
var ErrNoWebhook = errors.New("emulator: the workspace has no verified webhook")

// Say has the bot or an agent say something to a customer, who is known by what they wrote.
func (w *Workspace) Say(ctx context.Context, to Incoming, m Message) (Answer, error) {
	body := w.envelope(to, m)
	return w.Send(ctx, encode(body), nil)
}

// Send sends any body to the webhook, signed; header is added to it, and a signature in it
// replaces the genuine one.
func (w *Workspace) Send(ctx context.Context, body []byte, header http.Header) (Answer, error) {
	w.p.mu.Lock()
	hook, signature := w.hook, w.p.signature
	w.p.mu.Unlock()
	if hook.Status != "verified" {
		return Answer{}, ErrNoWebhook
	}
	value := signature.over(body, map[string]string{
		"": hook.Key, "verification_key": hook.Key, "flow_key": w.p.opts.FlowKey, "partner_key": w.p.opts.PartnerKey,
	})
	all := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"UChat"}}
	if value != "" {
		all.Set(signature.name(), value)
	}
	for name, values := range header {
		all[http.CanonicalHeaderKey(name)] = values
	}
	return w.p.call(ctx, OpSay, http.MethodPost, hook.URL, body, all)
}

// envelope writes a message in the platform's family.
func (w *Workspace) envelope(to Incoming, m Message) map[string]any {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.p.serial++
	body := map[string]any{}
	family, echo := w.p.opts.Family, w.p.opts.Echo
	if echo == "number" || echo == "both" || echo == "" && family == "chatwoot" {
		body["conversation_id"] = to.Conversation
	}
	if echo == "recipient" || echo == "both" || echo == "" && family == "messenger" {
		body["recipient"] = map[string]any{"id": to.Sender.ID}
	}
	if m.Agent != "" {
		body["agent"] = map[string]any{"id": 31, "name": m.Agent}
	}
	if family == "messenger" {
		w.messenger(body, m)
	} else {
		w.chatwoot(body, m)
	}
	return body
}

// messenger writes a message as Messenger's send API does.
func (w *Workspace) messenger(body map[string]any, m Message) {
	message := map[string]any{}
	if !w.p.opts.NoIDs {
		message["mid"] = "m_" + strconv.Itoa(w.p.serial)
	}
	template := func(payload map[string]any) {
		message["attachment"] = map[string]any{"type": "template", "payload": payload}
	}
	switch {
	case len(m.Buttons) > 0:
		template(map[string]any{"template_type": "button", "text": m.Text, "buttons": w.buttons(m.Buttons)})
	case len(m.Cards) > 0:
		template(map[string]any{"template_type": "generic", "elements": w.elements(m.Cards)})
	default:
		if m.Text != "" {
			message["text"] = m.Text
		}
		if m.File != nil {
			message["attachment"] = map[string]any{"type": m.File.Kind, "payload": map[string]any{"url": w.share(m.File)}}
		}
	}
	body["message"] = message
}

// buttons writes buttons as Messenger does, and notes what may come back.
func (w *Workspace) buttons(list []Button) []any {
	out := []any{}
	for _, b := range list {
		switch {
		case b.URL != "":
			out = append(out, map[string]any{"type": "web_url", "title": b.Title, "url": b.URL})
		case b.Phone != "":
			out = append(out, map[string]any{"type": "phone_number", "title": b.Title, "payload": b.Phone})
		default:
			w.payloads[b.Payload] = true
			out = append(out, map[string]any{"type": "postback", "title": b.Title, "payload": b.Payload})
		}
	}
	return out
}

func (w *Workspace) elements(cards []Card) []any {
	out := []any{}
	for _, c := range cards {
		element := map[string]any{"title": c.Title, "subtitle": c.Subtitle, "buttons": w.buttons(c.Buttons)}
		if c.Image != nil {
			element["image_url"] = w.share(c.Image)
		}
		out = append(out, element)
	}
	return out
}

// chatwoot writes a message as Chatwoot's agent bots do.
func (w *Workspace) chatwoot(body map[string]any, m Message) {
	body["event"], body["message_type"], body["content"] = "message_created", "outgoing", m.Text
	if !w.p.opts.NoIDs {
		body["id"] = w.p.serial
	}
	body["sender"] = map[string]any{"id": 8812, "name": "Shop bot", "type": "agent_bot"}
	switch {
	case len(m.Buttons) > 0:
		items := []any{}
		for _, b := range m.Buttons {
			w.payloads[b.Payload] = true
			items = append(items, map[string]any{"title": b.Title, "value": b.Payload})
		}
		body["content_type"], body["content_attributes"] = "input_select", map[string]any{"items": items}
	case len(m.Cards) > 0:
		body["content_type"], body["content_attributes"] = "cards", map[string]any{"items": w.items(m.Cards)}
	case m.File != nil:
		body["attachments"] = []any{map[string]any{"file_type": m.File.Kind, "data_url": w.share(m.File), "file_size": len(m.File.Content)}}
	}
}

func (w *Workspace) items(cards []Card) []any {
	out := []any{}
	for _, c := range cards {
		actions := []any{}
		for _, b := range c.Buttons {
			if b.URL != "" {
				actions = append(actions, map[string]any{"type": "link", "text": b.Title, "uri": b.URL})
				continue
			}
			w.payloads[b.Payload] = true
			actions = append(actions, map[string]any{"type": "postback", "text": b.Title, "payload": b.Payload})
		}
		item := map[string]any{"title": c.Title, "description": c.Subtitle, "actions": actions}
		if c.Image != nil {
			item["media_url"] = w.share(c.Image)
		}
		out = append(out, item)
	}
	return out
}

// share makes a link to a file. The caller holds p.mu.
func (w *Workspace) share(f *File) string {
	if f.URL != "" {
		return f.URL
	}
	id := w.p.newCode()
	w.p.files[id] = *f
	return "https://" + w.p.opts.BotHost + "/files/" + id + "/" + path.Base(f.Name)
}

// serveFile answers a download by the channel.
func (p *Platform) serveFile(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	f, ok := p.files[r.PathValue("id")]
	p.mu.Unlock()
	e := Exchange{Way: FromChannel, Type: OpFile, URL: r.Host + r.URL.String(), Header: r.Header.Clone(), Status: http.StatusOK, Began: p.now()}
	if !ok {
		e.Status = http.StatusNotFound
		w.WriteHeader(e.Status)
	} else {
		if f.MIME != "" {
			w.Header().Set("Content-Type", f.MIME)
		}
		_, _ = w.Write(f.Content) // a channel that went away is its own problem
	}
	e.Took = p.now().Sub(e.Began)
	p.rec.Add(e)
}
