package main

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

func TestConformance(t *testing.T) {
	const handshake = `{"hub_mode":"subscribe","hub_verify_token":"{{secret:verification_key}}","hub_challenge":"abc"}`
	c := pdktest.Case{
		Connector: newWorld(t).connector(), Manifest: "plugin.yaml", Prepare: prepareHost,
		Settings: map[string]string{"workspace_id": "4711"},
		Deliveries: []pdktest.Delivery{
			{Name: "a handshake", Body: handshake},
			{Name: "a handshake by GET", Method: "GET", Query: "hub_mode=subscribe&hub_verify_token=forged&hub_challenge=abc", Forged: true},
			{Name: "a handshake with another token", Body: strings.Replace(handshake, "{{secret:verification_key}}", "forged", 1), Forged: true},
			{Name: "a message with a forged signature", Body: `{"conversation_id":4210077,"content":"x"}`, Forged: true,
				Headers: []contract.Header{{Name: meta.header, Value: "sha256=" + strings.Repeat("00", 32)}}},
			{Name: "a message without conversation", Body: `{"event":"message_created","content":"x"}`},
		},
		Commands: []pdktest.Command{
			{Name: "a text", Input: &contract.SendMessageInput{Message: dana("msg_1", text1("hello"))}},
			{Name: "every kind of part", Input: &contract.SendMessageInput{Message: dana("msg_2", everyKind()...)}},
			{Name: "a press", Input: &contract.SendMessageInput{Message: dana("msg_3", text1("1"))}},
			{Name: "a first message", Input: &contract.SendMessageInput{Message: contract.Message{ID: "msg_4",
				Conversation: contract.Conversation{ID: "new"}, Author: contract.Author{Role: contract.RoleCustomer}, Parts: []contract.Part{text1("x")}}}},
			{Name: "setup", Input: &contract.SetupConnectionInput{}},
			{Name: "the set call", Input: &contract.ReconcileInput{Payload: workSet + " 7"}, Prepare: func(h *pdktest.Host) {
				h.SetKV(keyChannel, channel{state: channelVerifying, began: 7}.encode())
			}},
			{Name: "the end of the window", Input: &contract.ReconcileInput{Payload: workLearned + " 7"}},
			{Name: "teardown", Input: &contract.TeardownConnectionInput{}},
			{Name: "health", Input: &contract.CheckHealthInput{}},
		},
		Sign: func(h *pdktest.Host, d *pdktest.Delivery) {
			if d.Forged || strings.Contains(d.Body, "hub_") {
				return
			}
			mac := macOver("sha256", h.Secret("verification_key"), d.Body)
			d.Headers = slices.DeleteFunc(d.Headers, func(h contract.Header) bool { return h.Name == meta.header })
			d.Headers = append(d.Headers, contract.Header{Name: meta.header, Value: "sha256=" + hex.EncodeToString(mac)})
		},
	}
	for _, tt := range kinds {
		if strings.Contains(tt.body, `"content"`) { // see the README for the other family
			c.Deliveries = append(c.Deliveries, pdktest.Delivery{Name: tt.name, Body: tt.body})
		}
	}
	pdktest.Run(t, c)
	t.Run("files as links", func(t *testing.T) {
		c.Settings = map[string]string{"workspace_id": "4711", "media_style": "text_link"}
		pdktest.Run(t, c)
	})
}

// prepareHost is an active connection with one conversation and one template.
func prepareHost(h *pdktest.Host) {
	h.Answer("GET", "/api/partner/*", pdktest.JSON(200, ok(oursVerified).Body))
	h.Answer("POST", "/api/partner/*", pdktest.JSON(200, ok(oursVerified).Body))
	h.Answer("DELETE", "/api/partner/*", pdktest.JSON(200, "{}"))
	h.Answer("POST", "/api/apichat/*", pdktest.JSON(200, "{}"))
	for _, handle := range []contract.MediaHandle{"med_image", "med_voice", "med_video", "med_file", "med_mug"} {
		h.SetMedia(contract.Media{Kind: contract.MediaImage, Handle: handle, Name: "label.jpg"})
	}
	h.SetKV(keyChannel, channel{state: channelReady, botURL: botURL}.encode())
	h.SetKV(keyPin, meta.encode())
	h.SetKV(prefixNumber+"4210077", "tg-chat-1")
	h.SetKV(prefixUser+"tg-553201", "tg-chat-1")
	h.SetKV(prefixChat+"tg-chat-1", chatRecord{number: 4210077, sender: "tg-553201"}.encode())
	h.SetKV(prefixMenu+"tg-chat-1", "abc")
	h.SetKV(prefixButtons+"abc", encodeButtons([]button{{title: "Yes", payload: "f12|yes"}}))
}
