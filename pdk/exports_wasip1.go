//go:build wasip1

package pdk

import "github.com/seed75a60ee1/patchbay/pdk/contract"

// Every plugin gets every export: the compiler decides about exports before it knows
// which connector is registered. "patchbay plugin build" asks patchbay_abilities and
// strips those that lead nowhere; until then they fail with [ErrNoAbility].

//go:wasmexport patchbay_abilities
func exportAbilities() int32 { return finish(runAbilities()) }

//go:wasmexport receive
func exportReceive() int32 { return serve(contract.ExportReceive) }

//go:wasmexport route
func exportRoute() int32 { return serve(contract.ExportRoute) }

//go:wasmexport send_message
func exportSendMessage() int32 { return serve(contract.ExportSendMessage) }

//go:wasmexport edit_message
func exportEditMessage() int32 { return serve(contract.ExportEditMessage) }

//go:wasmexport delete_message
func exportDeleteMessage() int32 { return serve(contract.ExportDeleteMessage) }

//go:wasmexport send_typing
func exportSendTyping() int32 { return serve(contract.ExportSendTyping) }

//go:wasmexport send_receipt
func exportSendReceipt() int32 { return serve(contract.ExportSendReceipt) }

//go:wasmexport setup_connection
func exportSetupConnection() int32 { return serve(contract.ExportSetupConnection) }

//go:wasmexport teardown_connection
func exportTeardownConnection() int32 { return serve(contract.ExportTeardownConnection) }

//go:wasmexport refresh_credentials
func exportRefreshCredentials() int32 { return serve(contract.ExportRefreshCredentials) }

//go:wasmexport check_health
func exportCheckHealth() int32 { return serve(contract.ExportCheckHealth) }

//go:wasmexport authorize_url
func exportAuthorizeURL() int32 { return serve(contract.ExportAuthorizeURL) }

//go:wasmexport exchange_code
func exportExchangeCode() int32 { return serve(contract.ExportExchangeCode) }

//go:wasmexport reconcile
func exportReconcile() int32 { return serve(contract.ExportReconcile) }

//go:wasmexport lookup_contact
func exportLookupContact() int32 { return serve(contract.ExportLookupContact) }
