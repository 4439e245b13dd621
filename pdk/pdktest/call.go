package pdktest

import (
	"fmt"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Receive invokes receive with the body that was set, as a host does: over encoded
// documents, with the output validated, and with all effects committed or, if it failed
// or rejected the delivery, none.
func (h *Host) Receive(c pdk.Connector, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	out := new(contract.ReceiveOutput)
	if err := h.invoke(c, contract.ExportReceive, contract.Marshal(in), out); err != nil {
		return nil, err
	}
	if out.Rejected != nil {
		h.Discard()
	}
	h.Commit()
	return out, nil
}

// Route invokes route like [Host.Receive]. What it wrote is committed if it answered the
// delivery, and dropped if it did not.
func (h *Host) Route(c pdk.Connector, in *contract.RouteInput) (*contract.RouteOutput, error) {
	out := new(contract.RouteOutput)
	if err := h.invoke(c, contract.ExportRoute, contract.Marshal(in), out); err != nil {
		return nil, err
	}
	if !out.Answered {
		h.Discard()
	}
	h.Commit()
	return out, nil
}

// Command invokes the export that an input belongs to, like [Host.Receive]. Effects are
// committed also if the output has a failure.
func (h *Host) Command(c pdk.Connector, in contract.Appendable) (*contract.CommandOutput, error) {
	export, _, _ := command(in)
	out := new(contract.CommandOutput)
	if err := h.invoke(c, export, contract.Marshal(in), out); err != nil {
		return nil, err
	}
	h.Commit()
	return out, nil
}

// output is what an export answers.
type output interface {
	contract.Appendable
	contract.Decodable
	Validate() error
}

// invoke runs an export, and leaves what it wrote pending; if it failed, nothing is.
func (h *Host) invoke(c pdk.Connector, export contract.Export, input []byte, out output) error {
	h.export = export
	defer func() { h.export = "" }()
	data, err := pdk.Invoke(c, h, export, input)
	if err == nil {
		if err = contract.Unmarshal(data, out); err == nil {
			err = out.Validate()
		}
	}
	if err != nil {
		h.Discard()
		return fmt.Errorf("%s: %w", export, err)
	}
	return nil
}

// command tells which export a command's input belongs to, and where what every command
// has is in it. The export is empty if the input belongs to none.
func command(in contract.Appendable) (contract.Export, *contract.CommandInfo, *contract.Connection) {
	switch v := in.(type) {
	case *contract.SendMessageInput:
		return contract.ExportSendMessage, &v.Command, &v.Connection
	case *contract.EditMessageInput:
		return contract.ExportEditMessage, &v.Command, &v.Connection
	case *contract.DeleteMessageInput:
		return contract.ExportDeleteMessage, &v.Command, &v.Connection
	case *contract.SendTypingInput:
		return contract.ExportSendTyping, &v.Command, &v.Connection
	case *contract.SendReceiptInput:
		return contract.ExportSendReceipt, &v.Command, &v.Connection
	case *contract.SetupConnectionInput:
		return contract.ExportSetupConnection, &v.Command, &v.Connection
	case *contract.TeardownConnectionInput:
		return contract.ExportTeardownConnection, &v.Command, &v.Connection
	case *contract.RefreshCredentialsInput:
		return contract.ExportRefreshCredentials, &v.Command, &v.Connection
	case *contract.CheckHealthInput:
		return contract.ExportCheckHealth, &v.Command, &v.Connection
	case *contract.AuthorizeURLInput:
		return contract.ExportAuthorizeURL, &v.Command, &v.Connection
	case *contract.ExchangeCodeInput:
		return contract.ExportExchangeCode, &v.Command, &v.Connection
	case *contract.ReconcileInput:
		return contract.ExportReconcile, &v.Command, &v.Connection
	case *contract.LookupContactInput:
		return contract.ExportLookupContact, &v.Command, &v.Connection
	}
	return "", new(contract.CommandInfo), new(contract.Connection)
}
