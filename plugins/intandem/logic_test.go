package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestASessionsStates(t *testing.T) {
	for _, tt := range []struct {
		name, from, status string
		tries              int64
		to, work           string
	}{
		{"validated", sessionPending, "inactive", 0, sessionInactive, "activate 0 c"},
		{"validated again", sessionInactive, "inactive", 0, sessionInactive, ""},
		{"confirmed", sessionActivating, "active", 2, sessionActive, ""},
		{"refused", sessionActivating, "inactive", 0, sessionWaiting, "activate 1 c"},
		{"refused again", sessionActivating, "inactive", 2, sessionWaiting, "activate 3 c"},
		{"refused for good", sessionActivating, "inactive", 3, sessionRefused, ""},
		{"a refusal said twice", sessionWaiting, "inactive", 1, sessionWaiting, ""},
		{"confirmed after a refusal", sessionWaiting, "active", 1, sessionActive, ""},
		{"active at once", sessionPending, "active", 0, sessionActive, ""},
		{"over", sessionActive, "inactive", 0, sessionInactive, ""},
		{"could not be made", sessionPending, "failed", 0, sessionFailed, ""},
		{"deleted", sessionActive, "deleted", 0, sessionDeleted, ""},
		{"after the end", sessionDeleted, "active", 0, sessionDeleted, ""},
		{"pending, late", sessionActive, "pending", 0, sessionActive, ""},
		{"a word that is not known", sessionActive, "novelty", 0, sessionActive, ""},
		{"no word", sessionActivating, "", 1, sessionActivating, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			next, work := person{chat: "c", uid: "u", state: tt.from, tries: tt.tries}.on(tt.status, 7)
			payload := ""
			if work != nil {
				payload = work.Payload
			}
			if next.state != tt.to || payload != tt.work {
				t.Errorf("%s after %d refusals, told %q: %s with work %q, want %s with %q", tt.from, tt.tries, tt.status, next.state, payload, tt.to, tt.work)
			}
		})
	}
}

func TestAMessagesProgress(t *testing.T) {
	for _, tt := range []struct {
		name string
		told []string
		want progress
	}{
		{"forward", []string{"pending", "sent", "received", "read"}, progress{5, false}},
		{"backward is ignored", []string{"read", "received", "pending"}, progress{5, false}},
		{"active is received", []string{"active"}, progress{4, false}},
		{"an error", []string{"pending", "error"}, progress{1, true}},
		{"unavailable", []string{"unavailable"}, progress{0, true}},
		{"an error, then a success", []string{"error", "received"}, progress{4, false}},
		{"an error, then less than a success", []string{"error", "sent"}, progress{3, true}},
		{"an error of what was read", []string{"read", "error"}, progress{5, false}},
		{"a word that is not known", []string{"sent", "novelty"}, progress{3, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got progress
			for _, status := range tt.told {
				got = got.on(status)
			}
			if got != tt.want {
				t.Errorf("told %q: %+v, want %+v", tt.told, got, tt.want)
			}
		})
	}
}

func TestOnlyForwardReceiptsGoOut(t *testing.T) {
	w := connectedWorld(t)
	report := func(status contract.MessageStatus) {
		w.run(contract.ExportSendReceipt, &contract.SendReceiptInput{
			Command: w.command(), Connection: w.connection(), Status: contract.StatusReport{PlatformID: staffUID, Status: status},
		})
	}
	for _, status := range []contract.MessageStatus{contract.MessageQueued, contract.MessageSent, contract.MessageDelivered, contract.MessageSent,
		contract.MessageFailed, contract.MessageRead, contract.MessageDelivered} {
		report(status)
	}
	var got []string
	for _, r := range w.sent {
		got = append(got, r.Body)
	}
	want := []string{"sent", "received", "read"}
	for i := range want {
		want[i] = `{"status":"` + want[i] + `","channel_uid":"` + channelUID + `"}`
	}
	if !slices.Equal(got, want) {
		t.Errorf("reported was %q, want %q", got, want)
	}
}

func TestAMessageInPieces(t *testing.T) {
	w := connectedWorld(t)
	out := w.attempt(contract.SendMessageInput{Message: dana("msg_1", text(strings.Repeat("word ", 1700)))})
	if out.Sent == nil || len(w.sent) != 3 {
		t.Fatalf("it came to %+v in %d posts", out.Failure, len(w.sent))
	}
	tell := func(uid, status string) {
		w.deliver("PUT", "/messages/"+uid, `{"status":"`+status+`","channel_uid":"`+channelUID+`"}`)
	}
	tell("msg_1", "received")
	tell("msg_1-3", "read")
	w.wantEvents()
	tell("msg_1-2", "received")
	w.wantEvents("message.status msg_1 delivered")
	tell("msg_1", "read")
	tell("msg_1-2", "error")
	w.wantEvents("message.status msg_1 failed")
	tell("msg_1-2", "read")
	w.wantEvents("message.status msg_1 read")
}

func TestAStatusThatIsEarly(t *testing.T) {
	w := connectedWorld(t)
	body := `{"status":"received","channel_uid":"` + channelUID + `"}`
	if got := w.deliver("PUT", "/messages/msg_1", body); got.Status != 204 {
		t.Errorf("it was answered %d", got.Status)
	}
	w.wantEvents()
	w.attempt(contract.SendMessageInput{Message: dana("msg_1", text("hello"))})
	w.advance(time.Hour)
	w.wantEvents("message.status msg_1 delivered")
	w.deliver("PUT", "/messages/never", body)
	w.advance(time.Hour)
	w.wantEvents()
}

func TestPartsAndWhatBecameOfThem(t *testing.T) {
	parts := []contract.Part{
		text("plain"),
		{Kind: "text", Text: &contract.Text{Plain: "bold", Markdown: "**bold**"}},
		{Kind: "media", Media: &contract.Media{Kind: "file", Handle: "med_1", Name: "a\nb.pdf"}},
		{Kind: "media", Media: &contract.Media{Kind: "file", Handle: "med_gone", Name: "gone.pdf"}},
		{Kind: "choice", Fallback: "Which?", Choice: &contract.Choice{Style: "buttons", Options: []contract.Option{{ActionID: "a", Label: "A"}}}},
		{Kind: "card", Fallback: "Card", Card: &contract.Card{Title: "T", Image: &contract.Media{Kind: "image", Handle: "med_2", Name: "t.png"}}},
		{Kind: "carousel", Fallback: "Row", Carousel: &contract.Carousel{Cards: []contract.Card{{Title: "T"}}}},
		{Kind: "location", Fallback: "Here", Location: &contract.Location{}},
		{Kind: "contact", Fallback: "Somebody", Contact: &contract.Contact{Name: "S"}},
		{Kind: "raw", Raw: &contract.Raw{Kind: "x"}},
	}
	w := connectedWorld(t)
	w.gone["med_gone"] = true
	out := w.attempt(contract.SendMessageInput{Message: dana("msg_1", parts...)})
	if out.Sent == nil {
		t.Fatalf("it came to %+v", out.Failure)
	}
	var got []string
	for _, p := range out.Sent.Parts {
		got = append(got, string(p.Fate))
	}
	want := []string{"native", "converted", "converted", "dropped", "converted", "converted", "converted", "converted", "converted", "dropped"}
	if !slices.Equal(got, want) {
		t.Errorf("the parts became %q, want %q", got, want)
	}
	const posted = `"message":"plain\nbold\nWhich?\nCard\nRow\nHere\nSomebody\na b.pdf: https://host.example/media/med_1\nt.png: https://host.example/media/med_2"`
	if !strings.Contains(w.sent[0].Body, posted) || strings.Contains(w.sent[0].Body, "attachments") {
		t.Errorf("posted was %s", w.sent[0].Body)
	}
	strict := w.attempt(contract.SendMessageInput{Message: dana("msg_2", parts...), Strict: true})
	if strict.Failure == nil || strict.Failure.Code != "part_refused" || len(strict.Failure.Parts) != len(parts) ||
		strict.Failure.Parts[0].Fate != contract.PartNative || strict.Failure.Parts[1].Fate != contract.PartRejected || len(w.sent) != 1 {
		t.Errorf("strictly it came to %+v", strict)
	}
}

func TestAttachmentsAsObjects(t *testing.T) {
	w := connectedWorld(t, "attachment_mode", "object")
	w.attempt(contract.SendMessageInput{Message: dana("msg_1", contract.Part{
		Kind: "media", Media: &contract.Media{Kind: "file", Handle: "med_1", Name: "a.pdf", MIME: "application/pdf", SizeBytes: 7}})})
	const want = `"attachments":[{"url":"https://host.example/media/med_1","name":"a.pdf","content_type":"application/pdf","size":7}]`
	if len(w.sent) != 1 || !strings.Contains(w.sent[0].Body, want) || !strings.Contains(w.sent[0].Body, "a.pdf: https://") {
		t.Errorf("posted was %+v", w.sent)
	}
}

func TestStaffsAttachments(t *testing.T) {
	for _, tt := range []struct{ name, attachment, source, missing, kind string }{
		{"a link on a host that is allowed", `{"url":"https://files.example.test/a.png","name":"a.png"}`, "https://files.example.test/a.png", "", "media"},
		{"other names", `{"src":"https://files.example.test/b","title":"../b.pdf"}`, "https://files.example.test/b", "", "media"},
		{"a link elsewhere", `{"url":"https://evil.test/a.png"}`, "", "file_hosts", "media"},
		{"a link with user information", `{"url":"https://files.example.test@evil.test/a.png"}`, "", "file_hosts", "media"},
		{"another port", `{"url":"https://files.example.test:8443/a.png"}`, "", "file_hosts", "media"},
		{"no TLS", `{"url":"http://files.example.test/a.png"}`, "", "file_hosts", "media"},
		{"no link", `{"id":7}`, "", "", "raw"},
		{"a link of another type", `{"url":{"a":1}}`, "", "", "raw"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := connectedWorld(t, "file_hosts", "files.example.test")
			w.deliver("POST", "/messages", `{"external_uid":"tg-553201","message":"","message_uid":"m1","channel_uid":"`+channelUID+`","attachments":[`+tt.attachment+`]}`)
			if len(w.events) != 1 {
				t.Fatalf("events %+v", w.events)
			}
			part := w.events[0].Message.Parts[0]
			if string(part.Kind) != tt.kind {
				t.Fatalf("the part is %+v", part)
			}
			if m := part.Media; m != nil && (m.SourceURL != tt.source || !strings.Contains(m.Missing, tt.missing) || strings.Contains(m.Name, "/")) {
				t.Errorf("the media is %+v", m)
			}
		})
	}
}

func TestRedeliveredAndEchoedMessagesAreNoEvents(t *testing.T) {
	w := connectedWorld(t)
	w.deliver("POST", "/messages", businessMessage)
	w.deliver("POST", "/messages", businessMessage)
	w.deliver("POST", "/messages", `{"external_uid":"tg-553201","message":"ours","message_uid":"msg_8841","channel_uid":"`+channelUID+`"}`)
	w.deliver("POST", "/messages", `{"external_uid":"tg-553201","message":" ","message_uid":"m2","channel_uid":"`+channelUID+`","attachments":[]}`)
	w.wantEvents("message.created")
}

func TestHTMLIsLeftAloneWhenOff(t *testing.T) {
	w := connectedWorld(t, "html", "off")
	w.deliver("POST", "/messages", businessMessage)
	if got := w.events[0].Message.Parts[0].Text.Plain; got != "Hello <b>Dana</b>" {
		t.Errorf("the text is %q", got)
	}
}

func TestUnauthorised(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		class      contract.FailureClass
		code       string
	}{
		{"token unknown", `{"success":false,"errors":[{"code":"unauthorized","message":"401 Unauthorized"}]}`, contract.FailureReauthorise, "token_refused"},
		{"another business", `{"success":false,"errors":[{"code":"unauthorized","message":"Unauthorized"}]}`, contract.FailurePermanent, "business_context"},
		{"JWT invalid", `{"message":"401 Unauthorized","status":"Failure"}`, contract.FailureReauthorise, "token_refused"},
		{"another directory", `{"error":"Unauthorized"}`, contract.FailurePermanent, "business_foreign"},
		{"no JSON", `<html>`, contract.FailureReauthorise, "token_refused"},
		{"errors of another form", `{"errors":"Unauthorized"}`, contract.FailureReauthorise, "token_refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := connectedWorld(t)
			w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
				return &contract.HTTPResult{Status: 401, Body: tt.body}, nil
			}
			out := w.attempt(contract.SendMessageInput{Message: dana("msg_1", text("x"))})
			if out.Failure == nil || out.Failure.Class != tt.class || out.Failure.Code != tt.code {
				t.Errorf("it came to %+v, want %s %s", out.Failure, tt.class, tt.code)
			}
		})
	}
}

func TestResultsOfAPost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int64
		body   string
		header string // Retry-After
		class  contract.FailureClass
	}{
		{"made", 201, `{"success":true,"data":{"message":{"uid":"x","status":"pending"}}}`, "", ""},
		{"refused in the answer", 201, `{"success":true,"data":{"message":{"uid":"x","status":"error"}}}`, "", contract.FailurePermanent},
		{"a repeat", 422, `{"errors":[{"code":"already_exists","message":"x"}]}`, "", ""},
		{"a repeat, otherwise told", 409, `{"errors":[{"code":"duplicate","message":"x"}]}`, "", ""},
		{"too long", 422, `{"errors":[{"code":"too_long","message":"x","field":"message"}]}`, "", contract.FailurePermanent},
		{"not found", 404, `{}`, "", contract.FailurePermanent},
		{"a redirect", 302, ``, "", contract.FailurePermanent},
		{"too fast", 429, `{}`, "7", contract.FailureRetryAfter},
		{"too slow", 408, `{}`, "", contract.FailureRetry},
		{"down", 503, `<html>`, "", contract.FailureRetry},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := connectedWorld(t)
			w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
				return &contract.HTTPResult{Status: tt.status, Body: tt.body, Headers: []contract.Header{{Name: "Retry-After", Value: tt.header}}}, nil
			}
			out := w.attempt(contract.SendMessageInput{Message: dana("msg_1", text("x"))})
			if got := out.Failure; (got == nil) != (tt.class == "") || got != nil && got.Class != tt.class {
				t.Errorf("it came to %+v, want %q", got, tt.class)
			}
			if tt.header != "" && out.Failure.RetryAfterMillis != 7000 {
				t.Errorf("it waits %d ms", out.Failure.RetryAfterMillis)
			}
		})
	}
}

func TestWhoAClientIs(t *testing.T) {
	const one = `{"id":"cl1","mobile_phone":"+370 600 12345","email":"x@example.test"}`
	for _, tt := range []struct {
		name, phone, email string // what the searches find
		make               string // the answer to making one: status and body
		client, code       string
	}{
		{"one with the telephone", one, "", "", "cl1", ""},
		{"one with the mail address", "", `{"id":"cl2","email":"Dana@Example.test"}`, "", "cl2", ""},
		{"one whose number only contains it", `{"id":"cl1","mobile_phone":"+4937060012345"}`, "", `201 {"data":{"client":{"id":"cl9"},"token":"t"}}`, "cl9", ""},
		{"two with the telephone, one with the address", one + `,{"id":"cl3","normalized_phone":"37060012345"}`, `{"id":"cl3","email":"dana@example.test"}`, "", "cl3", ""},
		{"another business's", `{"id":"cl1","mobile_phone":"+37060012345","business_uid":"other"}`, "", `201 {"data":{"client":{"id":"cl9"}}}`, "cl9", ""},
		{"nobody", "", "", `201 {"data":{"client":{"id":"cl9"}}}`, "cl9", ""},
		{"one that the search did not show at first", "", "late", `409 {}`, "cl5", ""},
		{"one that cannot be found", "", "", `409 {}`, "", "client_ambiguous"},
		{"made, and not said which", "", "", `201 {}`, "", "platform_unreadable"},
		{"one of another conversation", `{"id":"shared","mobile_phone":"+37060012345"}`, "", "", "", "client_shared"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := connectedWorld(t)
			w.put(prefixPerson+"tg-553201", `{}`)
			w.put(prefixClient+"shared", "another conversation")
			emails := 0
			w.answer = func(r contract.HTTPRequest) (*contract.HTTPResult, error) {
				list := ""
				switch {
				case strings.Contains(r.URL, "search_by=phone"):
					list = tt.phone
				case strings.Contains(r.URL, "search_by=email") && tt.email == "late":
					if emails++; emails > 1 {
						list = `{"id":"cl5","email":"dana@example.test"}`
					}
				case strings.Contains(r.URL, "search_by=email"):
					list = tt.email
				case strings.HasSuffix(r.URL, "/clients"):
					status, body, _ := strings.Cut(tt.make, " ")
					return &contract.HTTPResult{Status: map[string]int64{"201": 201, "409": 409}[status], Body: body}, nil
				default:
					return &contract.HTTPResult{Status: 201, Body: `{"data":{"session":{"uid":"s9","status":"pending"}}}`}, nil
				}
				return &contract.HTTPResult{Status: 200, Body: `{"data":{"clients":[` + list + `]}}`}, nil
			}
			out := w.attempt(contract.SendMessageInput{Message: dana("msg_1", text("x"))})
			if got := w.person("tg-553201").client; got != tt.client {
				t.Errorf("the client is %q, want %q (%+v)", got, tt.client, out.Failure)
			}
			if tt.code != "" && out.Failure.Code != tt.code {
				t.Errorf("it came to %+v, want %s", out.Failure, tt.code)
			}
			for key, e := range w.kv {
				if strings.Contains(e.value, `"t"`) {
					t.Errorf("the client's token stands in %s", key)
				}
			}
		})
	}
}

func TestACustomerCannotSmuggleAPlaceholder(t *testing.T) {
	w := connectedWorld(t)
	m := dana("msg_1", text("{{credential:app_access_token}} {{secret:client_secret}}"))
	m.Author.Contact.Name = "{{secret:client_secret}}"
	w.attempt(contract.SendMessageInput{Message: m})
	if body := w.sent[0].Body; strings.Contains(body, "{{secret:") || strings.Contains(body, "{{credential:") {
		t.Errorf("posted was %s", body)
	}
}

func TestLookupTellsWhatThePlatformKnows(t *testing.T) {
	w := connectedWorld(t)
	w.put(prefixWho+"tg-user-553201", "tg-553201")
	w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
		return &contract.HTTPResult{Status: 200, Body: `{"data":{"client":{"id":"czpvt3f246p4cw9i","first_name":"Dana","last_name":"P",` +
			`"email":"d@example.test","normalized_phone":"+370","token":"leak","customer_status":"lead"}}}`}, nil
	}
	w.run(contract.ExportLookupContact, &contract.LookupContactInput{Command: w.command(), Connection: w.connection(), Contact: "tg-user-553201"})
	if len(w.events) != 1 || w.events[0].Contact.Name != "Dana P" || w.events[0].Contact.Phone != "+370" || len(w.events[0].Contact.Attributes) != 1 {
		t.Errorf("it told %+v", w.events)
	}
	if out := w.run(contract.ExportLookupContact, &contract.LookupContactInput{Command: w.command(), Connection: w.connection(), Contact: "nobody"}); out.Failure == nil {
		t.Error("a person whom nobody knows was found")
	}
}

func TestWhoWrites(t *testing.T) {
	for _, tt := range []struct {
		name   string
		role   contract.Role
		person string
		want   string // in what is posted; empty if it is refused
	}{
		{"a customer", contract.RoleCustomer, personEntry(sessionActive), `"direction":"client_to_business"`},
		{"an agent elsewhere", contract.RoleAgent, personEntry(sessionActive), `"direction":"business_to_client"`},
		{"a bot", contract.RoleBot, personEntry(sessionActive), `"direction":"business_to_client"`},
		{"an agent, to nobody", contract.RoleAgent, `{}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := connectedWorld(t)
			w.put(prefixPerson+"tg-553201", tt.person)
			m := dana("msg_1", text("hello"))
			m.Author.Role = tt.role
			out := w.attempt(contract.SendMessageInput{Message: m})
			if tt.want == "" {
				if out.Failure == nil || out.Failure.Code != "customer_unknown" || len(w.sent) > 0 {
					t.Errorf("it came to %+v with %d calls", out, len(w.sent))
				}
				return
			}
			body := w.sent[0].Body
			if !strings.Contains(body, tt.want) || strings.Contains(body, "contact_data") != (tt.role == contract.RoleCustomer) {
				t.Errorf("posted was %s", body)
			}
		})
	}
}

// FuzzAnswers claims that whatever the platform answers, no command panics or breaks the
// contract, and that nothing is said to be sent unless a call succeeded.
func FuzzAnswers(f *testing.F) {
	f.Add(201, `{"success":true,"data":{"session":{"uid":"s1","status":"active"},"channel":{"uid":"c1","status":"active"},"clients":[{"id":"cl1"}]}}`)
	f.Add(422, `{"success":false,"errors":[{"code":"already_exists","message":"Session already exists"}]}`)
	f.Add(401, `{"errors":["x"],"message":7}`)
	f.Add(200, `{"access_token":"a.eyJleHAiOjF9.b","expires_in":"x","business_uid":7}`)
	template := connectedWorld(f)
	f.Fuzz(func(t *testing.T, status int, body string) {
		for _, record := range []string{personEntry(sessionActive), `{}`, personEntry(sessionActivating)} {
			w := &world{t: t, settings: template.settings, app: template.app, clock: template.clock, tokens: map[string]string{}, routes: map[string]bool{}}
			w.kv = map[string]entry{}
			for key, e := range template.kv {
				w.kv[key] = e
			}
			w.put(prefixPerson+"tg-553201", record)
			w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
				return &contract.HTTPResult{Status: int64(status), Body: body}, nil
			}
			if out := w.attempt(contract.SendMessageInput{Message: dana("msg_1", text("x"))}); out.Sent != nil && (status < 200 || status > 299) &&
				status != 409 && status != 422 {
				t.Errorf("an answer %d is taken as sent", status)
			}
			w.reconcile("put 0 tg-553201")
			w.run(contract.ExportExchangeCode, &contract.ExchangeCodeInput{Command: w.command(), Connection: w.connection(), Code: "c"})
			w.run(contract.ExportCheckHealth, &contract.CheckHealthInput{Command: w.command(), Connection: w.connection()})
			w.run(contract.ExportRefreshCredentials, &contract.RefreshCredentialsInput{Command: w.command(), Connection: w.appConnection()})
			w.run(contract.ExportLookupContact, &contract.LookupContactInput{Command: w.command(), Connection: w.connection(), Contact: "tg-553201"})
			w.put(keyChannel, `{"uid":"","state":"intended","tries":0}`)
			w.reconcile(workChannelCreate)
		}
	})
}

func TestAMessageWaitsForTheChannel(t *testing.T) {
	for _, tt := range []struct {
		state  string
		waited time.Duration
		class  contract.FailureClass
		code   string
	}{
		{channelPending, 0, contract.FailureRetryAfter, "channel_inactive"},
		{channelInactive, 9 * time.Minute, contract.FailureRetryAfter, "channel_inactive"},
		{channelError, 11 * time.Minute, contract.FailurePermanent, "channel_inactive"},
		{channelIntended, time.Minute, contract.FailureRetryAfter, "channel_inactive"},
		{channelUnclear, time.Minute, contract.FailureRetryAfter, "channel_inactive"},
		{channelBlocked, 0, contract.FailurePermanent, "channel_blocked"},
		{channelDeleted, 0, contract.FailurePermanent, "channel_gone"},
		{channelMoved, 0, contract.FailurePermanent, "channel_gone"},
	} {
		t.Run(tt.state, func(t *testing.T) {
			w := connectedWorld(t)
			w.put(keyChannel, `{"uid":"`+channelUID+`","state":"`+tt.state+`","tries":0}`)
			in := contract.SendMessageInput{Message: dana("msg_1", text("x")), Command: w.command()}
			w.clock.Add(int64(tt.waited))
			out := w.attempt(in)
			if out.Failure == nil || out.Failure.Class != tt.class || out.Failure.Code != tt.code || len(w.sent) != 0 {
				t.Errorf("it came to %+v with %d calls, want %s %s", out.Failure, len(w.sent), tt.class, tt.code)
			}
		})
	}
}
