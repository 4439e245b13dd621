package main

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

const (
	// maxDecodings is how often a text that holds JSON is read as that.
	maxDecodings = 2
	// maxLineBytes bounds a line's id, so that it fits a key.
	maxLineBytes = 240
)

// routeEvent finds the line of a genuine notification. What no path matches is kept in outline,
// since the wrapper that Uspacy uses is not published.
func routeEvent(h pdk.Host, set settings, m *snsMessage) (*contract.RouteOutput, error) {
	e, ok := openEvent(m.message)
	if !ok {
		return quarantine(h, m)
	}
	message, found := e.find(set.eventPaths())
	switch {
	case !found && e.isAboutOther():
		h.Log(pdk.LogDebug, "an event that is about no message was left at that")
		return answeredOK(), nil
	case !found:
		return quarantine(h, m)
	}
	line := lineOf(message.object)
	if line == "" || len(line) > maxLineBytes {
		h.Log(pdk.LogDebug, "a message that is on no external line was left at that")
		return answeredOK(), nil
	}
	return &contract.RouteOutput{
		Key:      routeLine + line,
		Payload:  payload.New().Text("action", e.action()).Text("dedupe", m.dedupe()).Raw("message", message.text).End(),
		Response: jsonAnswer(200, "{}"), // of a line that nobody made here: the topic carries others
	}, nil
}

// node is a JSON object of an event, with its text.
type node struct {
	object payload.Object
	text   string
}

// event is what SNS carried.
type event struct{ root node }

// openEvent reads the text of a notification. It is JSON, or a JSON text that holds JSON.
func openEvent(text string) (event, bool) {
	root, ok := open(text)
	return event{root}, ok
}

// open reads an object, or a text that holds one.
func open(text string) (node, bool) {
	for range maxDecodings + 1 {
		text = strings.TrimSpace(text)
		if !strings.HasPrefix(text, `"`) {
			object, err := payload.Parse([]byte(text), payload.Limits{})
			return node{object, text}, err == nil
		}
		wrapped, err := payload.Parse([]byte(`{"text":`+text+`}`), payload.Limits{})
		if err != nil {
			return node{}, false
		}
		text = wrapped.String("text")
	}
	return node{}, false
}

// child returns what stands under a name: an object, or a text that holds one. A text called
// message is what an operator wrote, and is never read as anything else: he could write an event.
func (n node) child(name string) (node, bool) {
	raw := n.object.Raw(name)
	switch kind := raw.Kind(); {
	case kind == '{':
		return node{n.object.Object(name), string(raw)}, true
	case kind == '"' && name != "message":
		return open(string(raw))
	}
	return node{}, false
}

// find returns the message of an event, at the first path where there is one.
func (e event) find(paths []string) (node, bool) {
	for _, path := range paths {
		candidate, ok := e.root, true
		if path != "." {
			for name := range strings.SplitSeq(path, ".") {
				if candidate, ok = candidate.child(name); !ok {
					break
				}
			}
		}
		if ok && candidate.isMessage() {
			return candidate, true
		}
	}
	return node{}, false
}

// isMessage tells whether an object is a message, by the fields that every message has.
func (n node) isMessage() bool {
	return textOf(n.object, "id") != "" && textOf(n.object, "chatId") != "" &&
		(n.object.Has("message") || n.object.Has("type") || n.object.Has("attachedFiles"))
}

// lineOf returns the id of a message's external line, which stands there itself or in an object.
func lineOf(message payload.Object) string {
	n := node{object: message}
	if line, ok := n.child("externalLine"); ok {
		return textOf(line.object, "id")
	}
	return textOf(message, "externalLine")
}

// action says what happened to the message: "create", "update", "delete", or "" if the event
// does not tell.
func (e event) action() string {
	said := ""
	for _, path := range [][]string{{"action"}, {"event"}, {"data", "action"}, {"payload", "action"}} {
		from, ok := e.root, true
		if len(path) == 2 {
			from, ok = e.root.child(path[0])
		}
		if name := path[len(path)-1]; ok && from.object.Raw(name).Kind() == '"' {
			said = strings.ToLower(from.object.String(name))
			break
		}
	}
	for _, kind := range []struct {
		action string
		words  []string
	}{
		{"delete", []string{"delete", "remove"}}, {"update", []string{"update", "edit"}}, {"create", []string{"create", "add", "new"}},
	} {
		for _, word := range kind.words {
			if strings.Contains(said, word) {
				return kind.action
			}
		}
	}
	return ""
}

// isAboutOther tells whether an event says that it is about something else than messages.
func (e event) isAboutOther() bool {
	for _, from := range []string{"", "data", "payload"} {
		n, ok := e.root, true
		if from != "" {
			n, ok = e.root.child(from)
		}
		if ok && n.object.Raw("entity").Kind() == '"' {
			return !strings.Contains(strings.ToLower(n.object.String("entity")), "message")
		}
	}
	return false
}
