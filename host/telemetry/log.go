// Package telemetry makes what the host says of itself: structured logs that hold no
// secrets, and metrics whose labels are bounded.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/secret"
)

// NewLogger makes a logger that writes text or JSON lines of the level and above. The
// values of attributes that are called like secrets are replaced, in groups too; values of
// type [secret.Text] never print anyway.
func NewLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is not debug, info, warn or error", level)
	}
	opts := &slog.HandlerOptions{Level: least, ReplaceAttr: redact}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("log format %q is not text or json", format)
}

// suspicious lists words that a key holds if its value is not to be seen.
var suspicious = []string{"token", "secret", "password", "passwd", "authorization", "cookie", "api_key", "apikey", "credential", "private_key"}

func redact(_ []string, a slog.Attr) slog.Attr {
	key := strings.ToLower(strings.ReplaceAll(a.Key, "-", "_"))
	if a.Value.Kind() != slog.KindGroup && slices.ContainsFunc(suspicious, func(word string) bool { return strings.Contains(key, word) }) {
		return slog.String(a.Key, secret.Redacted)
	}
	return a
}
