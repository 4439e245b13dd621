package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// caller calls a platform by any of its names.
type caller struct {
	t      *testing.T
	p      *Platform
	client *http.Client
	token  string
}

func start(t *testing.T, opts Options) *caller {
	t.Helper()
	p, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	c := &caller{t: t, p: p, client: emulate.Trusting(p.CAPEM(), p.Addr(), p.Names()...)}
	t.Cleanup(func() {
		c.client.CloseIdleConnections()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	c.token = p.Portal("").Preinstall().Access
	return c
}

// call makes one call and decodes the answer; status 0 is no answer.
func (c *caller) call(method, path, body string) (int, map[string]any) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, "https://acme.uspacy.ua"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Accept", "application/json")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return c.do(r)
}

func (c *caller) do(r *http.Request) (int, map[string]any) {
	c.t.Helper()
	resp, err := c.client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	var answer map[string]any
	if json.Unmarshal(data, &answer) != nil {
		var list []any
		if err := json.Unmarshal(data, &list); err == nil {
			answer = map[string]any{"list": list}
		}
	}
	return resp.StatusCode, answer
}

// line and chat make what they say and return its id.
func (c *caller) line() string {
	c.t.Helper()
	_, line := c.call("POST", "/messenger/v1/external-lines", `{"name":"Shop","icon":"","phoneNumber":"","externalId":"x"}`)
	return line["id"].(string)
}

func (c *caller) chat(line string) string {
	c.t.Helper()
	_, chat := c.call("POST", "/messenger/v1/chats", `{"members":[],"type":"EXTERNAL","name":"Olena","externalLines":["`+line+`"]}`)
	return chat["id"].(string)
}

func customers(line, chat, externalID, more string) string {
	return `{"message":"hello","chatId":"` + chat + `","type":"MESSAGE","externalLine":"` + line + `","externalAuthorId":"tg:1","externalId":"` +
		externalID + `","timestamp":1797930001000` + more + `}`
}

func TestTheMessenger(t *testing.T) {
	c := start(t, Options{})
	var events []string
	c.p.OnEvent(func(event string) { events = append(events, event) })
	line := c.line()
	chat := c.chat(line)
	status, m := c.call("POST", "/messenger/v1/messages", customers(line, chat, "a", ""))
	if status != 201 || m["externalAuthorId"] != "tg:1" || m["externalLine"].(map[string]any)["portal"] != "acme.uspacy.ua" {
		t.Fatalf("the message was answered %d %v", status, m)
	}
	id := m["id"].(string)
	status, m = c.call("POST", "/messenger/v1/messages", customers(line, chat, "a", ""))
	if status != 500 || !strings.Contains(m["message"].(string), "E11000 duplicate key error") {
		t.Errorf("the duplicate was answered %d %v", status, m)
	}
	if status, _ = c.call("PATCH", "/messenger/v1/messages", `{"id":"`+id+`","message":"changed"}`); status != 200 {
		t.Errorf("the edit was answered %d", status)
	}
	if status, _ = c.call("PATCH", "/messenger/v1/messages/"+id+"/status", `{"status":"read","statusText":null}`); status != 200 {
		t.Errorf("the status was answered %d", status)
	}
	if _, m = c.call("GET", "/messenger/v1/messages/"+id, ""); m["message"] != "changed" || m["status"] != "read" {
		t.Errorf("the message is %v", m)
	}
	if status, _ = c.call("DELETE", "/messenger/v1/messages/"+id, ""); status != 200 {
		t.Errorf("the deletion was answered %d", status)
	}
	var actions []string
	for _, event := range events {
		var e struct{ Action string }
		if err := json.Unmarshal([]byte(event), &e); err != nil {
			t.Fatal(err)
		}
		actions = append(actions, e.Action)
	}
	if want := []string{"create", "update", "delete"}; !slices.Equal(actions, want) {
		t.Errorf("the events are %q, want %q", actions, want)
	}
	if v := c.p.Violations(); len(v) > 0 {
		t.Errorf("violations %q", v)
	}
}

func TestWhatIsAgainstTheProtocolIsNoted(t *testing.T) {
	c := start(t, Options{})
	line := c.line()
	chat := c.chat(line)
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		noted                    string
	}{
		{"no such call", "GET", "/messenger/v1/externalLines", "", 404, "no call of the API"},
		{"a trailing slash", "GET", "/messenger/v1/external-lines/", "", 404, "no call of the API"},
		{"an unknown field", "POST", "/messenger/v1/messages", customers(line, chat, "b", `,"text":"x"`), 400, "unknown field"},
		{"a message without an author", "POST", "/messenger/v1/messages", `{"message":"","chatId":"` + chat + `","type":"MESSAGE","externalLine":"` + line + `"}`, 400, "lacks"},
		{"a timestamp in seconds", "POST", "/messenger/v1/messages", strings.Replace(customers(line, chat, "c", ""), "1797930001000", "1797930001", 1), 201, "not in milliseconds"},
		{"a file of nobody's", "POST", "/messenger/v1/messages", customers(line, chat, "d", `,"attachedFiles":[{"id":1}]`), 201, "no file object"},
		{"a chat that is not external", "POST", "/messenger/v1/chats", `{"members":[],"type":"GROUP","name":"x","externalLines":["` + line + `"]}`, 400, "not EXTERNAL"},
		{"a line without an icon", "POST", "/messenger/v1/external-lines", `{"name":"x","phoneNumber":"","externalId":""}`, 400, "lacks one of"},
		{"a status of no meaning", "PATCH", "/messenger/v1/messages/x/status", `{"status":"lost"}`, 400, "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, _ := c.call(tt.method, tt.path, tt.body)
			v := strings.Join(c.p.TakeViolations(), "\n")
			if status != tt.status || !strings.Contains(v, tt.noted) {
				t.Errorf("answered %d, noted %q; want %d and %q", status, v, tt.status, tt.noted)
			}
		})
	}
}

func TestTokensGuardEveryCall(t *testing.T) {
	c := start(t, Options{})
	c.line()
	for name, token := range map[string]string{"an unknown one": "x", "the refresh token": c.p.Portal("").Tokens().Refresh, "none": ""} {
		c.token = token
		if status, _ := c.call("GET", "/messenger/v1/external-lines", ""); status != 401 {
			t.Errorf("%s was answered %d", name, status)
		}
	}
	c.token = c.p.Portal("").Tokens().Access
	c.p.Portal("").ExpireAccess()
	if status, _ := c.call("GET", "/messenger/v1/external-lines", ""); status != 401 {
		t.Errorf("an expired token was answered %d", status)
	}
}

func TestSteps(t *testing.T) {
	c := start(t, Options{})
	line := c.line()
	chat := c.chat(line)
	hold, before, after := make(chan struct{}), 0, 0
	close(hold)
	for _, tt := range []struct {
		name   string
		step   Step
		status int
		kept   bool
	}{
		{"a refusal", Step{Op: OpMessageCreate, Status: 503}, 503, false},
		{"a refusal after the effect", Step{Op: OpMessageCreate, Status: 504, Process: true}, 504, true},
		{"no answer", Step{Op: OpMessageCreate, HangUp: true}, 0, false},
		{"no answer after the effect", Step{Op: "message.", HangUp: true, Process: true}, 0, true},
		{"another body", Step{Op: OpMessageCreate, Body: "{}"}, 201, true},
		{"an answer that is held", Step{Hold: hold}, 201, true},
		{"something in between", Step{Before: func() { before++ }, After: func() { after++ }}, 201, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.p.Script(tt.step)
			had := len(c.p.Portal("").Messages(chat))
			status, _ := c.call("POST", "/messenger/v1/messages", customers(line, chat, tt.name, ""))
			if kept := len(c.p.Portal("").Messages(chat)) > had; status != tt.status || kept != tt.kept || c.p.Unplayed() != 0 {
				t.Errorf("answered %d and kept: %v; want %d and %v", status, kept, tt.status, tt.kept)
			}
		})
	}
	if before != 1 || after != 1 {
		t.Errorf("called before %d and after %d", before, after)
	}
	c.p.Script(Step{Op: OpLineCreate, Times: 2, Status: 500})
	if status, _ := c.call("GET", "/messenger/v1/external-lines", ""); status != 200 || c.p.Unplayed() != 1 {
		t.Errorf("a step for another call was played: %d", status)
	}
}

func TestFiles(t *testing.T) {
	c := start(t, Options{Chat: ChatOptions{MaxFileBytes: 8, FileHost: "files.uspacy.example", EntityType: "message"}})
	upload := func(field, entityType, content string) (int, map[string]any) {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		_ = w.WriteField("entityType", entityType)
		_ = w.WriteField("entityId", "c1")
		part, _ := w.CreateFormFile(field, "a.txt")
		_, _ = io.WriteString(part, content)
		_ = w.Close()
		r, _ := http.NewRequestWithContext(t.Context(), "POST", "https://acme.uspacy.ua/files/v1/files", &form)
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set("Accept", "application/json")
		r.Header.Set("Content-Type", w.FormDataContentType())
		return c.do(r)
	}
	for _, tt := range []struct {
		field, entityType, content string
		status                     int
	}{
		{"files[]", "message", "12345678", 201}, {"files[0]", "message", "1", 201}, {"files[]", "message", "123456789", 413},
		{"files[]", "post", "1", 422}, {"file", "message", "1", 422},
	} {
		if status, answer := upload(tt.field, tt.entityType, tt.content); status != tt.status {
			t.Errorf("%+v was answered %d %v", tt, status, answer)
		}
	}
	c.p.TakeViolations()
	f := c.p.Portal("").Files()[0]
	get := func(url, token string) (int, string) {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := c.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if !strings.HasPrefix(f.URL, "https://files.uspacy.example/") {
		t.Errorf("the file's link is %s", f.URL)
	}
	if status, body := get(f.URL, ""); status != 200 || body != "12345678" {
		t.Errorf("the file was answered %d %q", status, body)
	}
	if _, _ = get(f.URL, c.token); len(c.p.TakeViolations()) != 1 {
		t.Error("a token that went to another host was not noted")
	}
	if status, _ := get(f.URL+"9", ""); status != 404 {
		t.Errorf("no file was answered %d", status)
	}
	if _, totals := c.call("GET", "/files/v1/totals/size", ""); totals["data"].(map[string]any)["size"] != float64(9) {
		t.Errorf("the totals are %v", totals)
	}
}

func TestLists(t *testing.T) {
	c := start(t, Options{})
	line, other := c.line(), c.line()
	chat := c.chat(line)
	c.chat(other)
	if _, got := c.call("GET", "/messenger/v1/chats?type=EXTERNAL&externalLineIds="+line+"&name=Olena", ""); len(got["list"].([]any)) != 1 {
		t.Errorf("the chats are %v", got)
	}
	now := time.Now().UnixMilli()
	for i := range int64(5) {
		if _, err := c.p.Portal("").Reply(Reply{Chat: chat, Text: "x", At: now + i}); err != nil {
			t.Fatal(err)
		}
	}
	_, page := c.call("GET", "/messenger/v1/messages?chatId="+chat+"&limit=2", "")
	list := page["list"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["timestamp"].(float64) != float64(now+4) {
		t.Errorf("the first page is %v", list)
	}
	_, page = c.call("GET", "/messenger/v1/messages?chatId="+chat+"&limit=9&dir=prev&lastTimestamp="+jsonNumber(now+3), "")
	if n := len(page["list"].([]any)); n != 3 {
		t.Errorf("the second page has %d messages, want 3", n)
	}
	if _, err := c.p.Portal("").Reply(Reply{Chat: "nobody's"}); err == nil {
		t.Error("an operator wrote in a chat that there is not")
	}
}

func jsonNumber(n int64) string { return string(encode(n)) }

func TestWaitingEnds(t *testing.T) {
	c := start(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.p.Wait(ctx, Of(OpLineCreate)); err == nil || !strings.Contains(err.Error(), "0 of 1") {
		t.Errorf("waiting for nothing came to %v", err)
	}
	line := c.line()
	chat := c.chat(line)
	done := make(chan error, 1)
	go func() {
		_, err := c.p.Portal("").WaitMessage(t.Context(), func(m Message) bool { return m.Text == "hi" })
		done <- err
	}()
	if _, err := c.p.Portal("").Reply(Reply{Chat: chat, Text: "hi"}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := c.p.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheWrapperIsWhatTheOptionsSay(t *testing.T) {
	for _, wrapper := range []string{"", "payload", "payload.data", "data.entity", "data", "message", "root"} {
		c := start(t, Options{Chat: ChatOptions{Wrapper: wrapper, LineAsID: true}})
		var event map[string]any
		c.p.OnEvent(func(text string) { _ = json.Unmarshal([]byte(text), &event) })
		line := c.line()
		if _, err := c.p.Portal("").Reply(Reply{Chat: c.chat(line), Text: "hi"}); err != nil {
			t.Fatal(err)
		}
		inner := event
		path := wrapper
		if path == "" {
			path = "payload"
		}
		for name := range strings.SplitSeq(path, ".") {
			if name != "root" {
				inner, _ = inner[name].(map[string]any)
			}
		}
		if inner["message"] != "hi" || inner["externalLine"] != line {
			t.Errorf("wrapped as %q the event is %v", wrapper, event)
		}
	}
}
