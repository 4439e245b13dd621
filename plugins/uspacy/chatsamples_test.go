package main

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

// The samples' line and chat.
const (
	sampleLine = "66f2aa0177aa"
	sampleChat = "6710c11ff1e04b7d9a33bf77"
)

// prepareChat readies a connection with an installed portal, a line and one conversation.
func prepareChat(h *pdktest.Host) {
	h.Answer("GET", pathLines, pdktest.JSON(200, `[{"id":"`+sampleLine+`","name":"Shop bot","icon":"","externalId":"patchbay:con_1"}]`))
	h.Answer("GET", pathLines+"/*", pdktest.JSON(200, `{"id":"`+sampleLine+`","name":"Shop bot","icon":""}`))
	h.Answer("PATCH", pathLines+"/*", pdktest.JSON(200, `{"id":"`+sampleLine+`"}`))
	h.Answer("DELETE", pathLines+"/*", pdktest.JSON(200, `{"id":"`+sampleLine+`"}`))
	h.Answer("POST", pathLines, pdktest.JSON(201, `{"id":"`+sampleLine+`"}`))
	h.Answer("POST", pathChats, pdktest.JSON(201, `{"id":"6710c11ff1e04b7d9a33bf78"}`))
	h.Answer("GET", pathChats, pdktest.JSON(200, `[]`))
	h.Answer("POST", pathMessages, pdktest.JSON(201, `{"id":"6710c5a2f1e04b7d9a33c202"}`))
	h.Answer("PATCH", pathMessages, pdktest.JSON(200, `{}`))
	h.Answer("PATCH", pathMessages+"/*", pdktest.JSON(200, `{}`))
	h.Answer("DELETE", pathMessages+"/*", pdktest.JSON(200, `{}`))
	h.Answer("GET", pathMessages, pdktest.JSON(200, `[{"id":"6710c5a2f1e04b7d9a33c203","chatId":"`+sampleChat+`","timestamp":1797930123456,"authorId":18,"message":"found","type":"MESSAGE"}]`))
	h.Answer("POST", pathFiles, pdktest.JSON(201, `{"data":[{"id":90211,"url":"https://acme.uspacy.ua/storage/1","originalFilename":"label.png"}]}`))
	h.SetMedia(contract.Media{Kind: contract.MediaImage, Handle: "med_1", Name: "label.png"})
	chat := chatRecord{chat: sampleChat, conversation: "tg:551020", line: sampleLine, title: "Olena K.", user: "tg-user-551020"}
	h.SetKV(keyInstallation, installation{domain: acme, state: installActive}.encode())
	h.SetKV(keyLine, lineRecord{id: sampleLine, domain: acme, name: "Shop bot"}.encode())
	h.SetKV(prefixChat+sampleChat, chat.encode())
	h.SetKV(prefixConversation+"tg:551020", chat.encode())
	h.SetKV(prefixActive+sampleChat, "1")
	h.SetKV(keyRound, "1")
	mine := mineRecord{name: "m-ours", chat: sampleChat, ids: []string{"m-ours"}, kind: "text"}
	h.SetKV(prefixMine+"m-ours", mine.encode())
	h.SetKV(prefixSeen+"m-theirs", seenRecord{}.encode())
}

// chatDeliveries are message events as route hands them over.
func chatDeliveries() []pdktest.Delivery {
	deliver := func(name, payload string) pdktest.Delivery {
		return pdktest.Delivery{Name: name + " of the chat's", Path: "/sns", Body: "{}", Prepare: prepareChat, From: &contract.Routed{Key: routeLine + sampleLine, Payload: payload}}
	}
	message := func(more string) string {
		return `{"action":"create","dedupe":"sns/1","message":{"id":"m-new","chatId":"` + sampleChat + `","timestamp":1797930123456,"authorId":18,` +
			`"type":"MESSAGE","externalLine":{"id":"` + sampleLine + `","portal":"acme.uspacy.ua"},` + more + `"readBy":[18]}}`
	}
	return []pdktest.Delivery{
		deliver("an operator's message", message(`"message":"Your order **leaves today**","parentMessage":{"id":"m-ours"},`)),
		deliver("an operator's file", message(`"message":"","attachedFiles":[{"id":90211,"originalFilename":"label.png","size":48213,"url":"https://acme.uspacy.ua/storage/1"}],`)),
		deliver("an edit", strings.Replace(message(`"message":"changed","updateTimestamp":1797930123999,`), `"create"`, `"update"`, 1)),
		deliver("a deletion", strings.Replace(message(`"message":"gone",`), `"create"`, `"delete"`, 1)),
		deliver("an echo", message(`"message":"Hi","externalAuthorId":"tg-user-551020",`)),
		deliver("a message of an unknown chat", strings.Replace(message(`"message":"Hi",`), sampleChat, "stranger", 1)),
	}
}

// chatCommands are samples for every ability of a connection.
func chatCommands() []pdktest.Command {
	edited := olena("msg_1", words("changed"))
	edited.PlatformID = "m-ours"
	stranger := olena("msg_1", words("hello"))
	stranger.Conversation.ID = "tg:7"
	event := payload.New().Text("action", "create").Raw("message", `{"id":"m-new","chatId":"`+sampleChat+`","message":"Hi","timestamp":1797930123456}`).End()
	list := []pdktest.Command{
		{Name: "a text", Input: &contract.SendMessageInput{Message: olena("msg_1", words("Is it in stock?"))}},
		{Name: "a file", Input: &contract.SendMessageInput{Message: olena("msg_1", contract.Part{Kind: contract.PartMedia,
			Media: &contract.Media{Kind: contract.MediaImage, Handle: "med_1", Name: "label.png"}})}},
		{Name: "a long text", Input: &contract.SendMessageInput{Message: olena("msg_1", words(strings.Repeat("x", 9000)))}},
		{Name: "the first message of a customer", Input: &contract.SendMessageInput{Message: stranger}},
		{Name: "an edit", Input: &contract.EditMessageInput{Message: edited}},
		{Name: "a deletion", Input: &contract.DeleteMessageInput{PlatformID: "m-ours", Conversation: contract.Conversation{ID: "tg:551020"}}},
		{Name: "a receipt", Input: &contract.SendReceiptInput{Conversation: contract.Conversation{ID: "tg:551020"},
			Status: contract.StatusReport{PlatformID: "m-theirs", Status: contract.MessageDelivered}}},
		{Name: "setup", Input: &contract.SetupConnectionInput{}},
		{Name: "teardown", Input: &contract.TeardownConnectionInput{}},
		{Name: "health", Input: &contract.CheckHealthInput{}},
		{Name: "the line", Input: &contract.ReconcileInput{Payload: lineWork().Payload}},
		{Name: "a round of reading", Input: &contract.ReconcileInput{Payload: tickWork(1, "", 0).Payload}},
		{Name: "a chat to read", Input: &contract.ReconcileInput{Payload: `{"do":"read","chats":["` + sampleChat + `"]}`}},
		{Name: "another look", Input: &contract.ReconcileInput{Payload: lookWork(0, event).Payload}},
	}
	for i := range list {
		list[i].Name, list[i].Prepare = "in a chat: "+list[i].Name, prepareChat
	}
	return list
}
