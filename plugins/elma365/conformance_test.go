package main

import (
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

func TestConformance(t *testing.T) {
	text := contract.Part{Kind: "text", Text: &contract.Text{Plain: "Where is my parcel?"}}
	forged := func(name, body string) pdktest.Delivery {
		return pdktest.Delivery{Name: name, Body: body, Forged: true}
	}
	c := pdktest.Case{
		Connector: connector{}, Manifest: "plugin.yaml", Prepare: prepareHost,
		Settings: map[string]string{"company_url": company, "outcome_policy": "require"},
		Deliveries: []pdktest.Delivery{
			forged("a message without token", `{"type":"message","data":{"targetChatId":"tg-553201","text":"x"}}`),
			forged("a message of another channel", `{"type":"message","token":"{{secret:token}}","channelId":"x","data":{"targetChatId":"tg-553201","text":"x"}}`),
			forged("a callback elsewhere", `{"type":"connect","token":"{{secret:token}}","data":{"webhook":"https://evil.example/x"}}`),
		},
		Commands: []pdktest.Command{
			{Name: "a text", Input: &contract.SendMessageInput{Message: dana("msg_1", text)}},
			{Name: "a text after the token was refused", Input: &contract.SendMessageInput{Message: dana("msg_1", text)},
				Prepare: func(h *pdktest.Host) { h.SetKV(keyChannel, channel{url: hook, state: channelError}.encode()) }},
			{Name: "a file", Input: &contract.SendMessageInput{Message: dana("msg_1", contract.Part{
				Kind: "media", Media: &contract.Media{Kind: "image", Handle: "med_1", Name: "label.jpg"}})}},
			{Name: "a long text", Input: &contract.SendMessageInput{Message: dana("msg_1", contract.Part{
				Kind: "text", Text: &contract.Text{Plain: strings.Repeat("x", 9000)}})}},
			{Name: "a failure to tell", Input: &contract.SendReceiptInput{
				Conversation: contract.Conversation{ID: "tg-553201"}, Status: contract.StatusReport{PlatformID: "x", Status: contract.MessageFailed}}},
			{Name: "setup", Input: &contract.SetupConnectionInput{}},
			{Name: "teardown", Input: &contract.TeardownConnectionInput{}},
			{Name: "health", Input: &contract.CheckHealthInput{}},
			{Name: "a late outcome", Input: &contract.ReconcileInput{Payload: "check 1 msg_8841"}},
			{Name: "a repeat", Input: &contract.ReconcileInput{Payload: "repeat 1 msg_8841"}},
			{Name: "an early outcome", Input: &contract.ReconcileInput{Payload: "early 1 msg_8841"}},
			{Name: "a person", Input: &contract.LookupContactInput{Contact: "0198-7"}},
		},
	}
	for _, name := range []string{"connect", "message", "message_outcome", "user_info", "mark_as_read", "disconnect"} {
		c.Deliveries = append(c.Deliveries, pdktest.Delivery{
			Name: name, Body: strings.ReplaceAll(sample(t, name), token, "{{secret:token}}"),
		})
	}
	pdktest.Run(t, c)
}

// prepareHost is a connection with one conversation and one message that was posted.
func prepareHost(h *pdktest.Host) {
	h.Answer("POST", "/*", pdktest.JSON(200, "{}"))
	h.SetMedia(contract.Media{Kind: contract.MediaImage, Handle: "med_1", Name: "label.jpg"})
	h.SetKV(keyChannel, channel{id: "5d0e6f0a-6a0c-4a36-9a55-0f9b6f6d1b11", url: hook, state: channelActive}.encode())
	h.SetKV(prefixChat+"tg-553201", chatRecord{title: "Dana Petrova", user: "tg-user-553201"}.encode())
	h.SetKV(prefixUser+"tg-user-553201", "tg-553201")
	h.SetKV(prefixContact+"tg-user-553201", string(contract.Marshal(&contract.Contact{ID: "tg-user-553201", Name: "Dana Petrova"})))
	h.SetKV(prefixPosted+"msg_8841", (&posted{message: "msg_8841", piece: 1, pieces: 1, chat: "tg-553201", tries: 1}).encode())
	p := post{id: "msg_8841", chat: "tg-553201", title: "Dana Petrova", user: "tg-user-553201", text: "hello"}
	value, err := p.stored()
	if err != nil {
		panic("elma365: " + err.Error()) // a short text is not too large
	}
	h.SetKV(prefixAgain+"msg_8841", value)
}
