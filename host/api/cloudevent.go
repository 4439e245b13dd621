package api

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/cloudevents"
)

// oneLine keeps a field from becoming two.
var oneLine = strings.NewReplacer("\r", "", "\n", "")

// appendFrame appends the event as a server-sent event (WHATWG HTML section 9.2).
func appendFrame(dst *bytes.Buffer, e cloudevents.CloudEvent) error {
	data, err := e.Encode()
	if err != nil {
		return err
	}
	fmt.Fprintf(dst, "id: %s\nevent: %s\ndata: %s\n\n", e.Sequence, oneLine.Replace(e.Type), data)
	return nil
}
