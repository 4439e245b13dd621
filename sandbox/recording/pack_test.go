package recording

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func TestAPackedRecordingComesBack(t *testing.T) {
	empty := &Recording{Format: Format, Export: "receive", Now: sample().Now, Calls: []Call{{Function: "kv_get", Answer: Bytes{}}}}
	for name, want := range map[string]*Recording{"with everything": sample(), "with next to nothing": empty} {
		t.Run(name, func(t *testing.T) {
			got, err := Unpack(want.Pack())
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%+v came back as %+v, %v", want, got, err)
			}
		})
	}
}

func TestUnpackRefusesEveryTruncation(t *testing.T) {
	whole := sample().Pack()
	for n := range whole {
		if _, err := Unpack(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were taken for a recording", n, len(whole))
		}
	}
	if _, err := Unpack(append([]byte{packed + 1}, whole[1:]...)); !errors.Is(err, ErrPacked) {
		t.Errorf("another version was answered with %v", err)
	}
}

// FuzzUnpack holds that what is taken for a packed recording is one: it comes back the
// same when it is packed again.
func FuzzUnpack(f *testing.F) {
	f.Add(sample().Pack())
	f.Add([]byte{packed, 3, 8, 'a', 'b', 'c'})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Unpack(data)
		if err != nil {
			return
		}
		again, err := Unpack(r.Pack())
		if err != nil || !bytes.Equal(again.Pack(), r.Pack()) {
			t.Errorf("%+v came back as %+v, %v", r, again, err)
		}
	})
}

func BenchmarkPack(b *testing.B) {
	r := sample()
	r.Incomplete = ""
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			r.Pack()
		}
	})
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.Encode(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
