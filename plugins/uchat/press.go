package main

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// pressKind is the kind of a raw part that presses a button: its document has the option's
// action_id, and may have its label.
const pressKind = "postback"

// isPress tells whether a part presses a button.
func isPress(p *contract.Part) bool {
	return p.Kind == contract.PartRaw && p.Raw != nil && p.Raw.Kind == pressKind
}

// pressed finds the button that a part presses; nil if it is not known any more.
func pressed(h pdk.Host, raw *contract.Raw) (*button, error) {
	doc, err := payload.Parse([]byte(raw.JSON), payload.Limits{MaxBytes: 8 << 10})
	if err != nil {
		return nil, nil
	}
	return buttonOf(h, text(doc, "action_id"))
}

// pressNothing is the action of a text that presses nothing.
const pressNothing = "-"

// buttonOf finds a button by its action id; nil if there is none, or it is a link.
func buttonOf(h pdk.Host, action string) (*button, error) {
	menu, number, ok := strings.Cut(action, ".")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return nil, nil
	}
	list, err := loadButtons(h, menu)
	if err != nil || n < 1 || n > len(list) || list[n-1].link {
		return nil, err
	}
	return &list[n-1], nil
}

// replied finds the action that a text stands for: of the conversation's newest template, for
// a day, by its number or by its words. It is empty if there is none.
func replied(h pdk.Host, set settings, chat contract.ConversationID, words string) (string, error) {
	words = strings.TrimSpace(words)
	if !set.numbersPress() || words == "" || len(words) > contract.MaxNameBytes {
		return "", nil
	}
	number := len(words) <= 3 && strings.Trim(words, "0123456789") == ""
	if !number && !set.labelsPress() {
		return "", nil
	}
	menu, _, found, err := h.KVGet(prefixMenu + string(chat))
	if err != nil || !found {
		return "", err
	}
	if number {
		return menu + "." + words, nil
	}
	list, err := loadButtons(h, menu)
	if err != nil {
		return "", err
	}
	for i := range list {
		if !list[i].link && strings.EqualFold(list[i].title, words) {
			return menu + "." + strconv.Itoa(i+1), nil
		}
	}
	return "", nil
}
