package main

import (
	"slices"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

func TestConformance(t *testing.T) {
	c := pdktest.Case{
		Connector: connector{}, Manifest: "plugin.yaml", Prepare: prepareHost, Sign: func(h *pdktest.Host, d *pdktest.Delivery) { signLifecycle(t, h, d) },
		Settings:   map[string]string{"portal_url": "https://" + acme, "sns_topic_arns": topicARN, "client_id": "app-1"},
		Deliveries: slices.Concat(routedSamples(t), receivedSamples(), chatDeliveries()),
		Commands:   slices.Concat(chatSamples(), chatCommands(), appSamples()),
	}
	pdktest.Run(t, c)
	t.Run("without formatting", func(t *testing.T) {
		c.Settings["markdown_profile"] = "plain"
		pdktest.Run(t, c)
	})
}

// signLifecycle signs a lifecycle webhook with the app's secret, unless it brings a bearer.
func signLifecycle(t *testing.T, h *pdktest.Host, d *pdktest.Delivery) {
	if d.Routed && d.Path != pathSNS && len(d.Headers) == 0 {
		d.Headers = authorised(signJWT(t, jwt.SigningMethodHS256, []byte(h.Secret("client_secret")), member("domain", acme), nil, h.Now()))
	}
}

// routedSamples are what comes to the app's address.
func routedSamples(t *testing.T) []pdktest.Delivery {
	sns := func(name string, f emulator.SNSFields) pdktest.Delivery {
		return pdktest.Delivery{Name: name, Routed: true, Path: pathSNS, Headers: snsDelivery(f).Headers, Body: snsBody(t, f)}
	}
	forged := func(d pdktest.Delivery) pdktest.Delivery {
		d.Forged = true
		return d
	}
	unsigned := notification(reply)
	unsigned["Signature"] = "AAAA"
	version2 := notification(reply)
	version2["SignatureVersion"] = "2"
	stranger := authorised(signJWT(t, jwt.SigningMethodHS256, []byte("another"), member("domain", acme), nil, testNow))
	return []pdktest.Delivery{
		{Name: "install", Routed: true, Path: pathInstall, Body: installBody},
		{Name: "uninstall", Routed: true, Method: "DELETE", Path: "/portals/uninstall"},
		{Name: "uninstall, spelled in the other way", Routed: true, Path: "/portals/uinstall"},
		sns("a message", signed(notification(reply))),
		sns("a message by version 2", signed(version2)),
		sns("an event of another kind", signed(notification(`{"entity":"chat"}`))),
		sns("an event that nobody understands", signed(notification("{}"))),
		sns("a known topic", signed(confirmation(kindSubscribe, topicARN))),
		sns("an unknown topic", signed(confirmation(kindSubscribe, strangeARN))),
		sns("the end of a subscription", signed(confirmation(kindUnsubscribe, topicARN))),
		forged(sns("a message that nobody signed", unsigned)),
		forged(sns("a message of another topic", withARN(strangeARN))),
		{Name: "an install by somebody else", Routed: true, Path: pathInstall, Headers: stranger, Body: installBody, Forged: true},
		{Name: "an uninstall by somebody else", Routed: true, Path: "/portals/uninstall", Headers: stranger, Forged: true},
		{Name: "an install without a bearer", Routed: true, Path: pathInstall, Headers: []contract.Header{{Name: "X", Value: "x"}}, Body: installBody, Forged: true},
		{Name: "something else", Routed: true, Path: "/x", Forged: true},
	}
}

// receivedSamples are what route hands to a connection.
func receivedSamples() []pdktest.Delivery {
	portal := func(l lifecycle) *contract.Routed {
		l.proof.domain, l.proof.signed = acme, true
		return &contract.Routed{Key: routePortal + acme, Payload: l.encode()}
	}
	message := func(action, message string) *contract.Routed {
		return &contract.Routed{Key: routeLine + "line-1", Payload: payload.New().Text("action", action).Text("dedupe", "sns/1").Raw("message", message).End()}
	}
	const written = `{"id":"m-9","chatId":"c-1","timestamp":1767225600000,"authorId":18,"message":"Your **order**","type":"MESSAGE","externalLine":{"id":"line-1"},` +
		`"attachedFiles":[{"id":1,"originalFilename":"label.png","size":7,"url":"https://acme.uspacy.ua/storage/1"}]}`
	return []pdktest.Delivery{
		{Name: "an install that is assigned", Path: pathInstall, Body: installBody, From: portal(lifecycle{do: doInstall, proof: proof{issued: testNow.Unix()}, sum: "1"})},
		{Name: "an uninstall", Path: "/portals/uninstall", From: portal(lifecycle{do: doUninstall, proof: proof{issued: testNow.Unix()}})},
		{Name: "an operator writes", Path: pathSNS, From: message("create", written)},
		{Name: "an operator edits", Path: pathSNS, From: message("update", written)},
		{Name: "an operator deletes", Path: pathSNS, From: message("delete", written)},
		{Name: "what came to a connection", Path: pathSNS, Forged: true},
	}
}

// chatSamples are what is asked of a connection.
func chatSamples() []pdktest.Command {
	text := words("Is it **in stock**?")
	sent := olena("msg_1", text)
	sent.PlatformID = "m-1"
	chat := contract.Conversation{ID: "tg:551020", Title: "Olena K."}
	return []pdktest.Command{
		{Name: "a text", Input: &contract.SendMessageInput{Message: olena("msg_2", text)}},
		{Name: "a file", Input: &contract.SendMessageInput{Message: olena("msg_3", text, contract.Part{
			Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaImage, Handle: "med_1", Name: "label.jpg", SizeBytes: 7}})}},
		{Name: "a text in a new chat", Input: &contract.SendMessageInput{Message: contract.Message{
			ID: "msg_4", Conversation: contract.Conversation{ID: "tg:7", Title: "Dana"}, Parts: []contract.Part{text},
			Author: contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{ID: "tg-user-7", Name: "Dana"}}}}},
		{Name: "an edit", Input: &contract.EditMessageInput{Message: sent}},
		{Name: "a deletion", Input: &contract.DeleteMessageInput{Conversation: chat, PlatformID: "m-1"}},
		{Name: "a receipt", Input: &contract.SendReceiptInput{Conversation: chat, Status: contract.StatusReport{PlatformID: "m-9", Status: contract.MessageDelivered}}},
		{Name: "setup", Input: &contract.SetupConnectionInput{}},
		{Name: "teardown", Input: &contract.TeardownConnectionInput{}},
		{Name: "health", Input: &contract.CheckHealthInput{}},
		{Name: "the line", Input: &contract.ReconcileInput{Payload: lineWork().Payload}},
		{Name: "a round of reading", Input: &contract.ReconcileInput{Payload: `{"do":"tick","round":1,"after":""}`}},
		{Name: "the reading of a chat", Input: &contract.ReconcileInput{Payload: `{"do":"read","chats":["c-1"]}`}},
		{Name: "a proof", Input: &contract.ReconcileInput{Payload: proveWork().Payload}},
		{Name: "a refresh", Input: &contract.RefreshCredentialsInput{Reason: contract.RefreshDue}},
		{Name: "a refresh after one that may have worked", Input: &contract.RefreshCredentialsInput{Reason: contract.RefreshDue, Ambiguous: true}},
	}
}

// appSamples are what is asked of the app.
func appSamples() []pdktest.Command {
	waiting := func(h *pdktest.Host) {
		known := topic{arn: topicARN, state: topicConfirming, token: "aa"}
		h.SetKV(prefixTopic+known.key(), payload.New().Text("arn", known.arn).Text("state", known.state).Number("at", 1).
			Text("token", known.token).Text("subscription", "").End())
	}
	return []pdktest.Command{
		{Name: "setup of the app", App: true, Input: &contract.SetupConnectionInput{}},
		{Name: "health of the app", App: true, Input: &contract.CheckHealthInput{}},
		{Name: "teardown of the app", App: true, Input: &contract.TeardownConnectionInput{}},
		{Name: "a confirmation", App: true, Prepare: waiting, Input: &contract.ReconcileInput{Payload: confirmWork(digest(topicARN)).Payload}},
		{Name: "no tokens of the app", App: true, Input: &contract.RefreshCredentialsInput{Reason: contract.RefreshAsked}},
	}
}

// prepareHost is a connection whose portal is installed, with a line and one chat, and the
// answers of the portal and of SNS.
func prepareHost(h *pdktest.Host) {
	h.Answer("POST", "/*", pdktest.JSON(201, `{"id":"m-1","data":[{"id":7,"url":"https://acme.uspacy.ua/storage/7"}]}`))
	h.Answer("PATCH", "/*", pdktest.JSON(200, `{"id":"m-1"}`))
	h.Answer("DELETE", "/*", pdktest.JSON(200, `{"id":"m-1"}`))
	h.Answer("GET", "/*", pdktest.JSON(200, "[]"))
	h.Answer("GET", "/messenger/v1/external-lines/line-1", pdktest.JSON(200, `{"id":"line-1","name":"pdktest","icon":""}`))
	h.Answer("POST", pathRefresh, pdktest.JSON(200, freshPair))
	h.Answer("GET", certPath, contract.HTTPResult{Status: 200, Body: string(amazon().PEM())})
	h.Answer("GET", "/", contract.HTTPResult{Status: 200, Body: confirmationXML})
	h.SetMedia(contract.Media{Kind: contract.MediaImage, Handle: "med_1", Name: "label.jpg"})
	h.SetKV(keyInstallation, installation{domain: acme, state: installActive, issued: testNow.Unix() - 60, since: testNow.Unix() - 60}.encode())
	h.SetKV(keyLine, lineRecord{id: "line-1", domain: acme, name: "pdktest"}.encode())
	chat := chatRecord{chat: "c-1", conversation: "tg:551020", line: "line-1", title: "Olena K.", user: "tg-user-551020"}
	h.SetKV(prefixChat+chat.chat, chat.encode())
	h.SetKV(prefixConversation+chat.conversation, chat.encode())
	h.SetKV(prefixMine+"m-1", mineRecord{name: "m-1", chat: "c-1", ids: []string{"m-1"}, kind: "text"}.encode())
}
