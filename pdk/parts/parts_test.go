package parts_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/parts"
)

// fates takes parts of which each says what becomes of it.
func fates(list ...contract.PartFate) ([]contract.Part, parts.Outcomes) {
	message := make([]contract.Part, len(list))
	for i := range message {
		message[i].Kind = contract.PartRaw
	}
	return message, parts.Take(message, func(index int, _ *contract.Part) (contract.PartFate, string) {
		return list[index], "Note " + string(list[index])
	})
}

func TestTakeNumbersThePartsInOrder(t *testing.T) {
	_, got := fates(contract.PartNative, contract.PartDropped)
	want := parts.Outcomes{
		{Index: 0, Fate: contract.PartNative, Note: "Note native"}, {Index: 1, Fate: contract.PartDropped, Note: "Note dropped"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("outcomes %+v, want %+v", got, want)
	}
}

func TestStrictRefusesWhatIsNotSentAsItIs(t *testing.T) {
	if f := func() *contract.Failure { list, o := fates(contract.PartNative); return o.Strict(list) }(); f != nil {
		t.Errorf("a message that is sent as it is was refused: %+v", f)
	}
	list, o := fates(contract.PartNative, contract.PartConverted, contract.PartDropped)
	f := o.Strict(list)
	if f == nil || f.Class != contract.FailurePermanent || f.Code != "part_refused" || f.Message != "Part 1 (raw) cannot be sent as it is. Note converted" {
		t.Fatalf("refused by %+v", f)
	}
	var got []contract.PartFate
	for _, p := range f.Parts {
		got = append(got, p.Fate)
	}
	if want := []contract.PartFate{contract.PartNative, contract.PartRejected, contract.PartRejected}; !slices.Equal(got, want) {
		t.Errorf("fates %v, want %v", got, want)
	}
	if worst := o.Degraded(); worst != &o[1] || worst.Fate != contract.PartConverted {
		t.Errorf("the first degraded part is %+v, want the second, as it was", worst)
	}
}

func TestRefusalsFitTheContract(t *testing.T) {
	list, o := fates(contract.PartDropped)
	o[0].Note = strings.Repeat("漢", contract.MaxNameBytes)
	out := contract.CommandOutput{Failure: o.Strict(list)}
	if n := len(out.Failure.Message); n > contract.MaxNameBytes || !utf8.ValidString(out.Failure.Message) {
		t.Errorf("the message has %d bytes: %q", n, out.Failure.Message)
	}
	m := &contract.Media{Missing: strings.Repeat("漢", contract.MaxNameBytes)}
	if note := parts.Gone(m); len(note) > contract.MaxNameBytes || !strings.HasPrefix(note, "There are no bytes to send. 漢") {
		t.Errorf("the note is %q", note)
	}
}

func TestWordsAreTheFallbackBeforeTheDescription(t *testing.T) {
	p := contract.Part{Kind: contract.PartContact, Contact: &contract.Contact{Name: "Dana"}}
	if got := parts.Words(&p); !strings.Contains(got, "Dana") {
		t.Errorf("without a fallback: %q", got)
	}
	p.Fallback = "a card"
	if got := parts.Words(&p); got != "a card" {
		t.Errorf("with a fallback: %q", got)
	}
}

func TestPicturesAreThoseOfCards(t *testing.T) {
	picture := func(name string) contract.Card { return contract.Card{Image: &contract.Media{Name: name}} }
	for _, tt := range []struct {
		name string
		part contract.Part
		want []string
	}{
		{"a card", contract.Part{Kind: contract.PartCard, Card: &contract.Card{Image: &contract.Media{Name: "a"}}}, []string{"a"}},
		{"a card without", contract.Part{Kind: contract.PartCard, Card: &contract.Card{}}, nil},
		{"a carousel", contract.Part{Kind: contract.PartCarousel, Carousel: &contract.Carousel{
			Cards: []contract.Card{picture("a"), {}, picture("b")}}}, []string{"a", "b"}},
		{"an attachment", contract.Part{Kind: contract.PartMedia, Media: &contract.Media{Name: "a"}}, nil},
		{"a kind that says one thing and holds another", contract.Part{Kind: contract.PartText, Card: &contract.Card{Image: &contract.Media{}}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, m := range parts.Pictures(&tt.part) {
				got = append(got, m.Name)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("pictures %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{
		"route.pdf": "route.pdf", "/etc/passwd": "passwd", `C:\x\y.png`: "y.png", "": "file", "..": "file", "a/..": "file",
		"a\x00b\n.png": "ab.png", "\x01": "file",
		strings.Repeat("漢", 100): strings.Repeat("漢", 85),
	} {
		if got := parts.FileName(name); got != want {
			t.Errorf("FileName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestMediaKindGoesByTheExtension(t *testing.T) {
	for name, want := range map[string]contract.MediaKind{
		"a.JPG": contract.MediaImage, "a.ogg": contract.MediaVoice, "a.mp3": contract.MediaAudio, "a.jpg.mov": contract.MediaVideo,
		"a.pdf": contract.MediaFile, "jpg": contract.MediaFile, "": contract.MediaFile, "a.": contract.MediaFile,
		"a.j": contract.MediaFile, "a.peg": contract.MediaFile, "a.avi ": contract.MediaFile,
	} {
		if got := parts.MediaKind(name); got != want {
			t.Errorf("MediaKind(%q) = %s, want %s", name, got, want)
		}
	}
}
