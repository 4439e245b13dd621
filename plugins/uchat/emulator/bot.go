package emulator

import (
	"encoding/json"
	"net/http"
	"regexp"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// Incoming is one customer's message, as the platform took it.
type Incoming struct {
	Content      string
	MessageType  string `json:"message_type"`
	Sender       Sender
	Conversation int64 `json:"conversation_id"`
	Event        string
	// Submitted is set for a button that was pressed.
	Submitted []Submitted `json:"submitted_values"`
	// Attachments are downloaded before the message counts as received.
	Attachments []Attachment
}

// Sender is a customer, as the channel calls them.
type Sender struct {
	ID, Name, Email, Type string
	Phone                 string `json:"phone_number"`
}

// Submitted is a button that was pressed.
type Submitted struct{ Title, Payload string }

// Attachment is a file of a customer's message.
type Attachment struct {
	FileType string `json:"file_type"`
	DataURL  string `json:"data_url"`
	// Bytes is its content, and Err says why there is none.
	Bytes []byte `json:"-"`
	Err   string `json:"-"`
}

// post takes a customer's message at a bot URL.
func (p *Platform) post(w http.ResponseWriter, r *http.Request) {
	x := p.enter(r, OpMessage)
	workspace := p.byBot(r.PathValue("code"))
	var m Incoming
	switch err := json.Unmarshal(x.Body, &m); {
	case workspace == nil:
		x.answer(w, http.StatusNotFound, `{"message":"Not Found"}`)
	case !x.bearer(p.opts.FlowKey):
		x.answer(w, http.StatusUnauthorized, `{"message":"Unauthenticated."}`)
	case x.refused():
		x.answer(w, x.step.Status, `{"message":"Server Error"}`)
	case err != nil || !x.documented(m):
		x.answer(w, http.StatusUnprocessableEntity, `{"message":"The given data was invalid."}`)
	default:
		workspace.take(x, m)
		x.answer(w, http.StatusOK, `{"status":"ok"}`)
	}
}

// byBot finds the workspace of a bot URL's code.
func (p *Platform) byBot(code string) *Workspace {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.workspaces {
		if w.bot == code {
			return w
		}
	}
	return nil
}

var senderID = regexp.MustCompile(`^[A-Za-z0-9:_-]{1,64}$`)

// documented tells whether a message is one that the protocol documents, and records what is
// wrong with it.
func (x *exchange) documented(m Incoming) bool {
	var fields struct {
		Sender       map[string]any
		Conversation json.Number `json:"conversation_id"`
	}
	err := json.Unmarshal(x.Body, &fields)
	wrong := ""
	switch {
	case err != nil:
		wrong = "conversation_id is no number"
	case m.MessageType != "incoming" || m.Sender.Type != "contact":
		wrong = "message_type is not incoming, or sender.type not contact"
	case m.Event != "message_created" && m.Event != "message_postback":
		wrong = "there is no event " + m.Event
	case m.Conversation < 1 || m.Conversation >= 1<<31:
		wrong = "conversation_id is not from 1 to 2^31-1"
	case !senderID.MatchString(m.Sender.ID):
		wrong = "sender.id does not fit"
	case fields.Sender["email"] == nil || fields.Sender["phone_number"] == nil:
		wrong = "email or phone_number is null"
	case (m.Event == "message_postback") != (len(m.Submitted) > 0):
		wrong = "submitted_values and event do not fit"
	case m.Content == "" && len(m.Attachments) == 0 && len(m.Submitted) == 0:
		wrong = "it says nothing"
	}
	if wrong != "" {
		x.p.rec.Violation("a message came against the protocol: %s: %s", wrong, x.Body)
	}
	return wrong == ""
}

// take files a message, and has the bot answer.
func (w *Workspace) take(x *exchange, m Incoming) {
	w.began(m)
	for i := range m.Attachments {
		x.p.download(&m.Attachments[i])
	}
	w.ended(m)
	x.p.rec.Wake()
	if w.p.opts.Bot == nil {
		return
	}
	answer := func() {
		for _, said := range w.p.opts.Bot(m) {
			_, _ = w.Say(w.p.server.Context(), m, said) // it is recorded
		}
	}
	if w.p.opts.BotFirst {
		answer()
	} else {
		w.p.server.Later(answer)
	}
}

// began counts a post that is under way: there may be one of each conversation.
func (w *Workspace) began(m Incoming) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.busy[m.Conversation]++
	if w.busy[m.Conversation] > 1 {
		w.p.rec.Violation("two messages of conversation %d came at once", m.Conversation)
	}
	for _, s := range m.Submitted {
		if !w.payloads[s.Payload] {
			w.p.rec.Violation("the payload %q is of no button that was ever shown", s.Payload)
		}
	}
}

// ended files a message.
func (w *Workspace) ended(m Incoming) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.busy[m.Conversation]--
	for _, earlier := range w.received {
		if earlier.Conversation == m.Conversation && earlier.Sender.ID != m.Sender.ID {
			w.p.rec.Violation("conversation %d is of %q and of %q", m.Conversation, earlier.Sender.ID, m.Sender.ID)
		}
	}
	w.received = append(w.received, m)
}

// download fetches a file of the channel's.
func (p *Platform) download(a *Attachment) {
	e := Exchange{Way: ToChannel, Type: OpFile, URL: a.DataURL, Began: p.now()}
	var err error
	e.Status, a.Bytes, err = emulate.Get(p.server.Context(), p.client, a.DataURL, p.opts.MaxFileBytes)
	if err != nil {
		a.Err = err.Error()
	}
	e.Err, e.Took = a.Err, p.now().Sub(e.Began)
	p.rec.Add(e)
}
