package broker

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

// logLine passes a plugin's log line on. The sandbox has bounded their number and length.
func (inv *invocation) logLine(line sandbox.LogLine) {
	structured := contract.LogLine{Message: line.Text} // what is no document is passed on as it is
	if parsed := (contract.LogLine{}); contract.Unmarshal([]byte(line.Text), &parsed) == nil && parsed.Message != "" {
		structured = parsed
	}
	fields := make([]any, 0, len(structured.Fields))
	for _, name := range slices.Sorted(maps.Keys(structured.Fields)) {
		fields = append(fields, slog.String(name, structured.Fields[name]))
	}
	inv.broker.opts.Log.LogAttrs(context.Background(), line.Level, "plugin says", slog.String("plugin", inv.version.Manifest.Name),
		slog.String("export", string(inv.export)), slog.String("connection", string(inv.connection.ID)), slog.String("command", inv.command),
		slog.String("text", structured.Message), slog.Group("fields", fields...))
}
