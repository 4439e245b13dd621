package main

import (
	"slices"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestFlatten(t *testing.T) {
	native, converted, dropped := contract.PartNative, contract.PartConverted, contract.PartDropped
	options := []contract.Option{{ActionID: "1", Label: "Yes", Description: "please"}, {ActionID: "2", Label: "More", URL: "https://a.example"}}
	picture := &contract.Media{Kind: contract.MediaImage, Handle: "med_1", Name: "shoe.png"}
	for _, tt := range []struct {
		name  string
		part  contract.Part
		text  string
		files int
		fate  contract.PartFate
	}{
		{"plain text", contract.Part{Kind: "text", Text: &contract.Text{Plain: "hello"}}, "hello", 0, native},
		{"Markdown without marks", contract.Part{Kind: "text", Text: &contract.Text{Plain: "hello", Markdown: "hello"}}, "hello", 0, native},
		{"Markdown with marks", contract.Part{Kind: "text", Text: &contract.Text{Plain: "hello", Markdown: "*hello*"}}, "hello", 0, converted},
		{"Markdown alone", contract.Part{Kind: "text", Text: &contract.Text{Markdown: "hello"}}, "hello", 0, native},
		{"a file", contract.Part{Kind: "media", Media: picture}, "", 1, native},
		{"a file without bytes", contract.Part{Kind: "media", Media: &contract.Media{Missing: "Too large."}}, "", 0, dropped},
		{"a choice", contract.Part{Kind: "choice", Choice: &contract.Choice{Prompt: "Sure?", Options: options}},
			"Sure?\n1. Yes – please\n2. More – https://a.example", 0, converted},
		{"a choice with a fallback", contract.Part{Kind: "choice", Fallback: "Yes or no?", Choice: &contract.Choice{Options: options}},
			"Yes or no?", 0, converted},
		{"a card", contract.Part{Kind: "card", Card: &contract.Card{Title: "Shoe", Body: "Size 42", Image: picture}}, "Shoe\nSize 42", 1, converted},
		{"a carousel", contract.Part{Kind: "carousel", Carousel: &contract.Carousel{Cards: []contract.Card{{Title: "A", Image: picture}, {Title: "B", Image: picture}}}},
			"A\nB", 2, converted},
		{"a location", contract.Part{Kind: "location", Location: &contract.Location{LatitudeE7: 546870000, LongitudeE7: -252790000, Name: "Depot"}},
			"[Location] 54.687,-25.279 Depot https://www.openstreetmap.org/?mlat=54.687&mlon=-25.279", 0, converted},
		{"a contact", contract.Part{Kind: "contact", Contact: &contract.Contact{Name: "Dana", Phone: "+37060012345"}}, "[Contact] Dana +37060012345", 0, converted},
		{"something raw with a fallback", contract.Part{Kind: "raw", Fallback: "a poll", Raw: &contract.Raw{Kind: "poll"}}, "a poll", 0, converted},
		{"something raw", contract.Part{Kind: "raw", Raw: &contract.Raw{Kind: "poll"}}, "", 0, dropped},
		{"a kind of the future", contract.Part{Kind: "hologram", Fallback: "a hologram"}, "a hologram", 0, converted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := flatten([]contract.Part{tt.part})
			if got.text != tt.text || len(got.files) != tt.files || got.outcomes[0].Fate != tt.fate {
				t.Errorf("flatten(%+v)\n got %q, %d files, %s\nwant %q, %d files, %s",
					tt.part, got.text, len(got.files), got.outcomes[0].Fate, tt.text, tt.files, tt.fate)
			}
		})
	}
}

func TestRetryDelays(t *testing.T) {
	for _, tt := range []struct {
		name, setting string
		want          []int64
		fine          bool
	}{
		{"unset", "", defaultDelays, true},
		{"a schedule", "1, 2,3", []int64{1, 2, 3}, true},
		{"no number", "1,soon", defaultDelays, false},
		{"a negative number", "-1", defaultDelays, false},
		{"more than a week", "604801", defaultDelays, false},
		{"eleven", "1,1,1,1,1,1,1,1,1,1,1", defaultDelays, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, fine := settings{"retry_delays_seconds": tt.setting}.retryDelays()
			if !slices.Equal(got, tt.want) || fine != tt.fine {
				t.Errorf("retryDelays(%q) = %v, %v; want %v, %v", tt.setting, got, fine, tt.want, tt.fine)
			}
		})
	}
}
