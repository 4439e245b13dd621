package store

import (
	"fmt"
	"testing"
)

func TestAMemoIsBounded(t *testing.T) {
	var m memo[int]
	for i := range 2*mostDecoded + 10 {
		m.keep(fmt.Sprint(i), decoded[int]{record: i})
		if len(m.kept) > mostDecoded {
			t.Fatalf("%d records are kept", len(m.kept))
		}
	}
	if last := fmt.Sprint(2*mostDecoded + 9); m.kept[last].record != 2*mostDecoded+9 {
		t.Error("the newest is not kept")
	}
}
