package contract

// Export is the name of a function that a plugin exports.
type Export string

// The exports. Only receive is required; each other one is an ability that the host
// discovers at load.
const (
	ExportRoute              Export = "route"
	ExportReceive            Export = "receive"
	ExportSendMessage        Export = "send_message"
	ExportEditMessage        Export = "edit_message"
	ExportDeleteMessage      Export = "delete_message"
	ExportSendTyping         Export = "send_typing"
	ExportSendReceipt        Export = "send_receipt"
	ExportSetupConnection    Export = "setup_connection"
	ExportTeardownConnection Export = "teardown_connection"
	ExportRefreshCredentials Export = "refresh_credentials"
	ExportCheckHealth        Export = "check_health"
	ExportAuthorizeURL       Export = "authorize_url"
	ExportExchangeCode       Export = "exchange_code"
	ExportReconcile          Export = "reconcile"
	ExportLookupContact      Export = "lookup_contact"
)

// Exports lists every export, receive first.
func Exports() []Export {
	return []Export{
		ExportReceive, ExportRoute, ExportSendMessage, ExportEditMessage, ExportDeleteMessage,
		ExportSendTyping, ExportSendReceipt, ExportSetupConnection, ExportTeardownConnection,
		ExportRefreshCredentials, ExportCheckHealth, ExportAuthorizeURL, ExportExchangeCode,
		ExportReconcile, ExportLookupContact,
	}
}

// HostFunction is the name of a function that the host offers in the import module
// [ImportModule]. Each takes the handle of a block with its argument document and
// returns the handle of a block with its result document, both i64. One has no documents:
// the argument of delivery_body is {}, and its result is the raw body, where the handle
// 0 stands for an empty one.
type HostFunction string

// ImportModule is the import module of the host functions, as Extism names it.
const ImportModule = "extism:host/user"

// The host functions.
const (
	HostHTTPSend        HostFunction = "http_send"
	HostHTTPCachedGet   HostFunction = "http_cached_get"
	HostKVGet           HostFunction = "kv_get"
	HostKVPut           HostFunction = "kv_put"
	HostKVDelete        HostFunction = "kv_delete"
	HostKVList          HostFunction = "kv_list"
	HostRoutePut        HostFunction = "route_put"
	HostRouteDelete     HostFunction = "route_delete"
	HostSecretEqual     HostFunction = "secret_equal"
	HostHMACVerify      HostFunction = "hmac_verify"
	HostHMACSign        HostFunction = "hmac_sign"
	HostJWTVerify       HostFunction = "jwt_verify"
	HostJWTSign         HostFunction = "jwt_sign"
	HostSignatureVerify HostFunction = "signature_verify"
	HostCredentialsPut  HostFunction = "credentials_put"
	HostMediaFetch      HostFunction = "media_fetch"
	HostMediaPut        HostFunction = "media_put"
	HostMediaLink       HostFunction = "media_link"
	HostDeliveryBody    HostFunction = "delivery_body"
)

// HostFunctions lists every host function.
func HostFunctions() []HostFunction {
	return []HostFunction{
		HostHTTPSend, HostHTTPCachedGet, HostKVGet, HostKVPut, HostKVDelete, HostKVList,
		HostRoutePut, HostRouteDelete, HostSecretEqual, HostHMACVerify, HostHMACSign,
		HostJWTVerify, HostJWTSign, HostSignatureVerify, HostCredentialsPut,
		HostMediaFetch, HostMediaPut, HostMediaLink, HostDeliveryBody,
	}
}

// The bulk functions move a block between the host and the guest's own linear memory in
// one call. They stand in [ImportModule] beside the host functions, and a runtime that
// cannot offer them answers [BulkUnsupported], upon which a PDK falls back to Extism's
// eight bytes a call.
const (
	// BlockRead is block_read(block i64, offset i64, dst i32, len i32) -> i64: it copies
	// up to len bytes of the block, from offset, to the guest's memory at dst, and returns
	// how many, or a negative number.
	BlockRead = "block_read"
	// BlockWrite is block_write(src i32, len i32) -> i64: it makes a block of len bytes
	// from the guest's memory at src and returns its handle, or a negative number.
	BlockWrite = "block_write"
)

// What the bulk functions answer besides a count or a handle.
const (
	// BulkFault means that a handle, an offset or a range was out of bounds.
	BulkFault = -1
	// BulkUnsupported means that this runtime does not offer bulk functions.
	BulkUnsupported = -2
	// BulkQuota means that the invocation has used up its block memory.
	BulkQuota = -3
)
