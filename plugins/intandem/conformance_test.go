package main

import (
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

const (
	channelUID = "b3c7e1de-96a1-4f0f-8d52-7f4e2a9f10aa"
	sessionUID = "5d0e6f0a-6a0c-4a36-9a55-0f9b6f6d1b11"
	staffUID   = "0f6f1d0e-2f0a-4b5e-9f0c-1f2a53b4c901"
)

const businessMessage = `{"external_uid":"tg-553201","message":"Hello <b>Dana</b>","message_uid":"0f6f1d0e-2f0a-4b5e-9f0c-1f2a53b4c902",` +
	`"channel_uid":"` + channelUID + `","status":"pending","attachments":[{"file_url":"https://files.example.test/a/plan.pdf","title":"plan.pdf"}]}`

func TestConformance(t *testing.T) {
	json := []contract.Header{{Name: "Content-Type", Value: "application/json"}}
	delivery := func(name, method, path, body string) pdktest.Delivery {
		return pdktest.Delivery{Name: name, Method: method, Path: path, Body: body, Headers: json}
	}
	forged := func(name, method, path, body string) pdktest.Delivery {
		d := delivery(name, method, path, body)
		d.Forged = true
		return d
	}
	routed := func(d pdktest.Delivery) pdktest.Delivery {
		d.Routed = true
		return d
	}
	landing := pdktest.Delivery{Name: "the landing page", Method: "GET", Path: "/", Query: "brand_host=app.vcita.com&business_uid=" + business}
	c := pdktest.Case{
		Connector: connector{}, Manifest: "plugin.yaml", Prepare: prepareHost,
		Settings: map[string]string{"client_id": clientID, "business_uid": business, "file_hosts": "files.example.test"},
		Deliveries: []pdktest.Delivery{
			delivery("a channel's state", "PUT", "/channels/"+channelUID, `{"status":"inactive"}`),
			delivery("a session's state", "PUT", "/sessions/"+sessionUID, `{"status":"inactive"}`),
			delivery("a message", "POST", "/messages", businessMessage),
			delivery("a message's state", "PUT", "/messages/msg_8841", `{"status":"received","channel_uid":"`+channelUID+`"}`),
			delivery("typing", "POST", "/"+sessionUID+"/typing", `{"typing":true}`),
			forged("another channel's state", "PUT", "/channels/another", `{"status":"active"}`),
			forged("another session's state", "PUT", "/sessions/another", `{"status":"active"}`),
			forged("a message of another channel", "POST", "/messages", `{"external_uid":"x","message":"y","message_uid":"z","channel_uid":"another"}`),
			forged("a state of another channel's message", "PUT", "/messages/msg_8841", `{"status":"read","channel_uid":"another"}`),
			forged("typing in another session", "PUT", "/sessions/another/typing", `{"typing":true}`),
			routed(delivery("a channel's state, to the app", "PUT", "/channels/"+channelUID, `{"status":"active"}`)),
			routed(delivery("a message, to the app", "POST", "/messages", businessMessage)),
			routed(landing),
			routed(forged("a message without channel, to the app", "POST", "/messages", `{"message":"y"}`)),
			routed(forged("a path that is none, to the app", "POST", "/nowhere", `{}`)),
		},
		Commands: commandSamples(),
	}
	pdktest.Run(t, c)
}

func commandSamples() []pdktest.Command {
	forget := func(h *pdktest.Host) { h.SetKV(prefixPerson+"tg-553201", `{}`) }
	asApp := contract.Connection{ID: "app_1", Workspace: "wsp_host", IsApp: true, Settings: map[string]string{
		"client_id": clientID, "api_url": "https://api.vcita.biz", "token_url": "https://api.vcita.biz", "brand_url": "https://app.vcita.com"}}
	chat := contract.Conversation{ID: "tg-553201"}
	media := contract.Part{Kind: "media", Media: &contract.Media{Kind: "image", Handle: "med_1", Name: "label.jpg"}}
	return []pdktest.Command{
		{Name: "a text", Input: &contract.SendMessageInput{Message: dana("msg_1", text("Where is my parcel?"))}},
		{Name: "a stranger's text", Input: &contract.SendMessageInput{Message: dana("msg_1", text("hello"))}, Prepare: forget},
		{Name: "a file", Input: &contract.SendMessageInput{Message: dana("msg_1", media)}},
		{Name: "a file, strictly", Input: &contract.SendMessageInput{Message: dana("msg_1", media), Strict: true}},
		{Name: "typing", Input: &contract.SendTypingInput{Conversation: chat, Typing: contract.Typing{On: true, Author: contract.Author{Role: contract.RoleCustomer}}}},
		{Name: "a receipt", Input: &contract.SendReceiptInput{Conversation: chat, Status: contract.StatusReport{PlatformID: staffUID, Status: contract.MessageRead}}},
		{Name: "setup", Input: &contract.SetupConnectionInput{}},
		{Name: "setup of the app", Input: &contract.SetupConnectionInput{Connection: asApp}},
		{Name: "teardown", Input: &contract.TeardownConnectionInput{}},
		{Name: "the service token", Input: &contract.RefreshCredentialsInput{Connection: asApp}},
		{Name: "the business's token", Input: &contract.RefreshCredentialsInput{}},
		{Name: "health", Input: &contract.CheckHealthInput{}},
		{Name: "health of the app", Input: &contract.CheckHealthInput{Connection: asApp}},
		{Name: "consent", Input: &contract.AuthorizeURLInput{RedirectURL: "https://host.example/in/app", State: "s", CodeChallenge: "c"}},
		{Name: "a code", Input: &contract.ExchangeCodeInput{RedirectURL: "https://host.example/in/app", Code: "c", CodeVerifier: "v"}},
		{Name: "a channel to make", Input: &contract.ReconcileInput{Payload: workChannelCreate},
			Prepare: func(h *pdktest.Host) { h.SetKV(keyChannel, `{"uid":"","state":"intended","tries":0}`) }},
		{Name: "a channel to activate", Input: &contract.ReconcileInput{Payload: workChannelActivate},
			Prepare: func(h *pdktest.Host) { h.SetKV(keyChannel, `{"uid":"`+channelUID+`","state":"error","tries":0}`) }},
		{Name: "a session to activate", Input: &contract.ReconcileInput{Payload: "put 0 tg-553201"},
			Prepare: func(h *pdktest.Host) { h.SetKV(prefixPerson+"tg-553201", personEntry(sessionActivating)) }},
		{Name: "an early status", Input: &contract.ReconcileInput{Payload: "early 0 msg_8841"}},
		{Name: "a payload that is none", Input: &contract.ReconcileInput{Payload: "x"}},
		{Name: "a person", Input: &contract.LookupContactInput{Contact: "tg-user-553201"}},
	}
}

func personEntry(state string) string {
	return `{"client":"czpvt3f246p4cw9i","session":"` + sessionUID + `","state":"` + state + `","tries":0,"waits":0,"ended":0}`
}

// prepareHost is a connection with an active channel, one customer with an active session,
// a message each way, and a platform that answers with success.
func prepareHost(h *pdktest.Host) {
	h.Answer("PUT", "/*", pdktest.JSON(200, `{"success":true,"data":{}}`))
	h.Answer("DELETE", "/*", pdktest.JSON(200, `{"success":true,"data":{}}`))
	h.Answer("POST", "/business/communication/*", pdktest.JSON(201, `{"success":true,"data":{"channel":{"uid":"c1","status":"pending"},`+
		`"session":{"uid":"s1","status":"pending"},"message":{"uid":"m1","status":"pending"}}}`))
	h.Answer("GET", "/business/communication/sessions", pdktest.JSON(200, `{"success":true,"data":{"sessions":[]}}`))
	h.Answer("GET", "/platform/v1/clients*", pdktest.JSON(200, `{"data":{"clients":[],"client":{"id":"czpvt3f246p4cw9i","first_name":"Dana","token":"leak"}}}`))
	h.Answer("POST", "/platform/v1/clients", pdktest.JSON(201, `{"data":{"client":{"id":"cl9"},"token":"leak"}}`))
	h.Answer("POST", "/platform/v1/tokens/revoke", pdktest.JSON(201, `{"data":{"revoked_tokens":["x"]}}`))
	h.Answer("POST", "/oauth/*", pdktest.JSON(200, `{"access_token":"at-1","expires_in":3600,"token_type":"Bearer","created_at":1}`))
	h.Answer("GET", "/oauth/userinfo", pdktest.JSON(200, `{"business_uid":"`+business+`"}`))
	h.SetMedia(contract.Media{Kind: contract.MediaImage, Handle: "med_1", Name: "label.jpg"})
	h.SetKV(keyBusiness, business)
	h.SetKV(keyChannel, `{"uid":"`+channelUID+`","state":"active","tries":0}`)
	h.SetKV(prefixPerson+"tg-553201", personEntry(sessionActive))
	h.SetKV(prefixSession+sessionUID, "tg-553201")
	h.SetKV(prefixClient+"czpvt3f246p4cw9i", "tg-553201")
	h.SetKV(prefixWho+"tg-user-553201", "tg-553201")
	h.SetKV(prefixSent+"msg_8841", `{"message":"msg_8841","piece":1,"pieces":1,"chat":"tg-553201"}`)
	h.SetKV(prefixStaff+staffUID, `{"chat":"tg-553201","status":""}`)
}
