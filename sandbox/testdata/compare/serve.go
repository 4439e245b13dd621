// The file is laid over plugins/elma365 (go build -overlay) by BenchmarkCompare of package
// sandbox: it makes the connector a process behind hashicorp/go-plugin, which also times
// itself as ordinary Go. Every message is a BytesValue.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const cookie = "PATCHBAY_COMPARE"

// It runs from init, so that main stays the plugin's own.
func init() {
	if os.Getenv(cookie) == "" {
		return
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: cookie, MagicCookieValue: "1"},
		Plugins:         goplugin.PluginSet{"connector": &served{}},
		GRPCServer:      goplugin.DefaultGRPCServer,
		Logger:          hclog.NewNullLogger(),
	})
	os.Exit(0)
}

// served is the connector as a gRPC service.
type served struct {
	goplugin.NetRPCUnsupportedPlugin
	broker *goplugin.GRPCBroker
	inside *insideHost
	host   *brokerHost
}

func (s *served) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is the server")
}

func (s *served) GRPCServer(broker *goplugin.GRPCBroker, server *grpc.Server) error {
	s.broker = broker
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "connector", Methods: []grpc.MethodDesc{
		method("attach", s.attach),
		method("receive", func(ctx context.Context, input []byte) ([]byte, error) {
			return pdk.Invoke(connector{}, &brokerHost{ctx: ctx, conn: s.host.conn}, contract.ExportReceive, input)
		}),
		method("receive_inside", func(_ context.Context, input []byte) ([]byte, error) {
			return pdk.Invoke(connector{}, s.inside, contract.ExportReceive, input)
		}),
		method("receive_many", s.many),
	}}, nil)
	return nil
}

// attach takes where host functions are answered, and what they answer from when they
// are answered inside.
func (s *served) attach(_ context.Context, data []byte) ([]byte, error) {
	var hello struct {
		Host uint32
		Body []byte
		KV   map[string]string
	}
	if err := json.Unmarshal(data, &hello); err != nil {
		return nil, err
	}
	conn, err := s.broker.Dial(hello.Host)
	if err != nil {
		return nil, err
	}
	s.host, s.inside = &brokerHost{conn: conn}, &insideHost{body: hello.Body, kv: hello.KV}
	return nil, nil
}

// many calls so often as it is told, and tells how many nanoseconds all took.
func (s *served) many(_ context.Context, data []byte) ([]byte, error) {
	var ask struct {
		Calls int
		Input []byte
	}
	if err := json.Unmarshal(data, &ask); err != nil {
		return nil, err
	}
	runtime.GC()
	began := time.Now()
	for range ask.Calls {
		if _, err := pdk.Invoke(connector{}, s.inside, contract.ExportReceive, ask.Input); err != nil {
			return nil, err
		}
	}
	return json.Marshal(time.Since(began))
}

func method(name string, run func(ctx context.Context, in []byte) ([]byte, error)) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var in wrapperspb.BytesValue
		if err := decode(&in); err != nil {
			return nil, err
		}
		out, err := run(ctx, in.Value)
		return wrapperspb.Bytes(out), err
	}}
}

// insideHost answers from a map, without any border. What a message does not need is
// missing, and panics.
type insideHost struct {
	pdk.Host
	body []byte
	kv   map[string]string
}

func (h *insideHost) DeliveryBody() ([]byte, error)         { return append([]byte(nil), h.body...), nil }
func (h *insideHost) SecretEqual(_, _ string) (bool, error) { return true, nil }
func (h *insideHost) Log(pdk.LogLevel, string, ...string)   {}
func (h *insideHost) KVGet(key string) (string, int64, bool, error) {
	value, found := h.kv[key]
	return value, 1, found, nil
}

// brokerHost asks the process that started this one.
type brokerHost struct {
	pdk.Host
	ctx  context.Context
	conn *grpc.ClientConn
}

func (h *brokerHost) call(name contract.HostFunction, args []byte) ([]byte, error) {
	var out wrapperspb.BytesValue
	err := h.conn.Invoke(h.ctx, "/host/"+string(name), wrapperspb.Bytes(args), &out)
	return out.Value, err
}

func (h *brokerHost) ask(name contract.HostFunction, args contract.Appendable, result contract.Decodable) error {
	answer, err := h.call(name, contract.Marshal(args))
	if err != nil {
		return err
	}
	return contract.Unmarshal(answer, result)
}

func (h *brokerHost) DeliveryBody() ([]byte, error) {
	return h.call(contract.HostDeliveryBody, []byte("{}"))
}

func (h *brokerHost) SecretEqual(name, value string) (bool, error) {
	var result contract.Verdict
	err := h.ask(contract.HostSecretEqual, &contract.SecretEqual{Name: name, Value: value}, &result)
	return result.OK, err
}

func (h *brokerHost) Log(pdk.LogLevel, string, ...string) {}

func (h *brokerHost) KVGet(key string) (string, int64, bool, error) {
	var result contract.KVGetResult
	err := h.ask(contract.HostKVGet, &contract.KVGet{Key: key}, &result)
	return result.Value, result.Version, result.Found, err
}
