package store

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// fill puts something into every field that v has, or into about half of them.
func fill(r *rand.Rand, v reflect.Value, sparse bool) {
	if sparse && r.IntN(2) == 0 {
		return
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(r.Int64N(4e9), r.Int64N(1e9)).UTC()))
	case v.Type() == reflect.TypeFor[contract.RawJSON]():
		v.SetBytes([]byte(`{"a":[1]}`))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(r, v.Field(i), sparse)
		}
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem(), sparse)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(r, v.Index(i), sparse)
		}
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), reflect.ValueOf("v"))
	case v.Kind() == reflect.String:
		v.SetString([]string{"plain", "with \"quotes\" \\ and \x00", "größer <b> &", "bad \xff bytes", "\u2028"}[r.IntN(5)])
	case v.CanInt():
		v.SetInt(r.Int64N(1 << 50))
	case v.CanUint():
		v.SetUint(r.Uint64N(1<<50) % (1 << (v.Type().Bits() - 1)))
	case v.CanFloat():
		v.SetFloat(float64(r.IntN(1000)))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	default:
		panic("a field of type " + v.Type().String() + " is new to this test")
	}
}

// What a record encodes itself as is read as what encoding/json would have written.
func TestRecordsEncodeAsEncodingJSONDoes(t *testing.T) {
	for name, check := range map[string]func(*testing.T, *rand.Rand, bool){
		"delivery": func(t *testing.T, r *rand.Rand, sparse bool) {
			agrees(t, r, sparse, func(d *domain.Delivery) appendable {
				d.Body, d.Answered = nil, false
				return deliveryRecord{d}
			})
		},
		"event": func(t *testing.T, r *rand.Rand, sparse bool) {
			agrees(t, r, sparse, func(e *domain.Event) appendable { return eventRecord{e} })
		},
		"message": func(t *testing.T, r *rand.Rand, sparse bool) {
			agrees(t, r, sparse, func(m *messageRecord) appendable { return *m })
		},
		"conversation": func(t *testing.T, r *rand.Rand, sparse bool) {
			agrees(t, r, sparse, func(c *domain.ConversationSummary) appendable { return conversationRecord{c} })
		},
		"first answer": func(t *testing.T, r *rand.Rand, sparse bool) {
			agrees(t, r, sparse, func(a *firstAnswer) appendable { return *a })
		},
		"repeatable": func(t *testing.T, r *rand.Rand, sparse bool) {
			agrees(t, r, sparse, func(p *repeatable) appendable { return *p })
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			check(t, r, false)
			for range 50 {
				check(t, r, true)
			}
		})
	}
}

func agrees[T any](t *testing.T, r *rand.Rand, sparse bool, encode func(*T) appendable) {
	t.Helper()
	var value, got, want T
	fill(r, reflect.ValueOf(&value).Elem(), sparse)
	record := encode(&value)
	theirs, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	ours := record.appendTo([]byte("before"))
	if err := json.Unmarshal(ours[len("before"):], &got); err != nil {
		t.Fatalf("%s: %v", ours, err)
	}
	if err := json.Unmarshal(theirs, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it is read as %+v\nwant %+v", got, want)
	}
}

func TestTicketsAreReadAsTheyWereWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 200 {
		var want domain.Ticket
		fill(r, reflect.ValueOf(&want).Elem(), i%2 == 0)
		want.Kind, want.Seq = append(ticketKinds, "")[r.IntN(4)], 0
		packed := packTicket(want)
		got, err := unpackTicket(packed)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
		for n := range packed {
			if _, err := unpackTicket(packed[:n]); err == nil {
				t.Fatalf("%d bytes of %d are a ticket", n, len(packed))
			}
		}
	}
}

func FuzzUnpackTicket(f *testing.F) {
	f.Add(packTicket(domain.Ticket{ID: "cmd_1", Kind: domain.JobCommand, Workspace: "w", Group: "g", Lane: "l", NotBefore: time.Unix(1, 2)}))
	f.Fuzz(func(t *testing.T, v []byte) {
		ticket, err := unpackTicket(v)
		if err != nil {
			return
		}
		if again, err := unpackTicket(packTicket(ticket)); err != nil || again != ticket {
			t.Errorf("%+v is read again as %+v: %v", ticket, again, err)
		}
	})
}
