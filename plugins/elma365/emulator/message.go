package emulator

import (
	"context"
	"encoding/json"
	"net/http"
)

// messageKeys is what the data of a message holds, all of it always.
var messageKeys = []string{
	"externalMessageId", "externalChatId", "externalChatName", "externalUserId", "text", "files",
}

// message takes a customer's message, answers, and processes it.
func (in *call) message(ctx context.Context) (int, []byte) {
	if !in.readMessage() {
		return http.StatusInternalServerError, []byte("{}")
	}
	in.ex.MessageID = in.data.ID
	if in.p.opts.AskNewUsers && !in.c.knows(in.data.User) {
		_, _ = in.c.AskUserInfo(ctx, in.data.User) // recorded; the message is taken either way
	}
	in.c.take(in.data)
	if in.step.OutcomeFirst {
		in.process(ctx)
	} else {
		in.p.server.Later(func() { in.process(in.p.server.Context()) })
	}
	return http.StatusOK, []byte("{}")
}

// readMessage parses the data and records what it lacks.
func (in *call) readMessage() bool {
	if err := json.Unmarshal(in.body.Data, &in.data); err != nil {
		in.p.rec.Violation("the data of a message: %v", err)
		return false
	}
	var keys map[string]json.RawMessage
	_ = json.Unmarshal(in.body.Data, &keys) // it parsed just now
	for _, key := range messageKeys {
		if _, ok := keys[key]; !ok {
			in.p.rec.Violation("message %q lacks %s", in.data.ID, key)
		}
		delete(keys, key)
	}
	for key := range keys {
		in.p.rec.Violation("message %q has the unknown key %s", in.data.ID, key)
	}
	in.checkFiles()
	if in.data.ID == "" || in.data.Chat == "" || in.data.User == "" {
		in.p.rec.Violation("a message has an empty id")
		return false
	}
	return true
}

// checkFiles records what is wrong with the files.
func (in *call) checkFiles() {
	for _, f := range in.data.Files {
		if name, _ := f["name"].(string); name == "" {
			in.p.rec.Violation("message %q has a file without a name", in.data.ID)
		}
		if link(f) == "" {
			in.p.rec.Violation("message %q has a file without a URL", in.data.ID)
		}
		if len(f) != 2 {
			in.p.rec.Violation("message %q has a file with %d keys, not name and URL", in.data.ID, len(f))
		}
	}
}

// process downloads the files of a message that is not processed yet, and reports the
// outcome.
func (in *call) process(ctx context.Context) {
	files := in.data.received()
	for i := range files {
		in.p.download(ctx, &files[i])
	}
	success := in.outcome(files)
	in.c.processed(in.data.ID, files)
	if in.step.Outcome == OutcomeNone || !in.p.server.Pause(ctx, in.step.OutcomeHold) {
		return
	}
	for range 1 + in.step.OutcomeRepeats {
		_, _ = in.c.Outcome(ctx, in.data.ID, success) // recorded, whatever came of it
	}
}

// outcome is what is reported.
func (in *call) outcome(files []ReceivedFile) bool {
	if in.step.Outcome != OutcomeHonest {
		return in.step.Outcome == OutcomeSuccess
	}
	for _, f := range files {
		if f.Err != "" {
			return false
		}
	}
	return true
}

// processed files what the platform downloaded.
func (c *Channel) processed(id string, files []ReceivedFile) {
	c.p.mu.Lock()
	if m := c.messages[id]; m != nil {
		m.Files, m.Processed = files, true
	}
	c.p.mu.Unlock()
	c.p.rec.Wake()
}
