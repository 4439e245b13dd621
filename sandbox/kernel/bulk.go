package kernel

import "github.com/seed75a60ee1/patchbay/pdk/contract"

// Bulk are the functions of [contract.ImportModule] that move a block in one call.
// Their contract stands beside [contract.BlockRead] and [contract.BlockWrite].
func Bulk() []Function {
	return []Function{
		{contract.BlockRead, signature(types(i64, i64, i32, i32), types(i64)), func(k *Kernel, mem Memory, s []uint64) {
			s[0] = uint64(k.blockRead(mem, Handle(s[0]), s[1], uint32(s[2]), uint32(s[3])))
		}},
		{contract.BlockWrite, signature(types(i32, i32), types(i64)), func(k *Kernel, mem Memory, s []uint64) {
			s[0] = uint64(k.blockWrite(mem, uint32(s[0]), uint32(s[1])))
		}},
	}
}

func (k *Kernel) blockRead(mem Memory, h Handle, offset uint64, dst, n uint32) int64 {
	data, ok := k.Block(h)
	if !ok || offset > uint64(len(data)) {
		k.Fault(contract.BlockRead, h)
		return contract.BulkFault
	}
	n = uint32(min(uint64(n), uint64(len(data))-offset))
	k.work(uint64(n), bytesMoved)
	view, ok := mem.Read(dst, n)
	if !ok {
		k.Fault(contract.BlockRead, h)
		return contract.BulkFault
	}
	return int64(copy(view, data[offset:]))
}

func (k *Kernel) blockWrite(mem Memory, src, n uint32) int64 {
	view, ok := mem.Read(src, n)
	if !ok {
		k.Fault(contract.BlockWrite, 0)
		return contract.BulkFault
	}
	k.work(uint64(n), bytesMade)
	h := k.Copy(view)
	if h == 0 && n > 0 {
		return contract.BulkQuota
	}
	return int64(h)
}
