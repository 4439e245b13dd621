package binary

func readFuncType(r *reader) FuncType {
	if form := r.byte(); form != 0x60 && r.err == nil {
		r.fail("type form %#x is not a function", form)
	}
	return FuncType{
		Params:  vector(r, "parameters", maxParams, 1, readValueType),
		Results: vector(r, "results", maxResults, 1, readValueType),
	}
}

func readValueType(r *reader) ValueType {
	t := ValueType(r.byte())
	if t.String() == "unknown" && r.err == nil {
		r.fail("value type %#x is not known", byte(t))
	}
	return t
}

func readRefType(r *reader) ValueType {
	t := ValueType(r.byte())
	if t != FuncRef && t != ExternRef && r.err == nil {
		r.fail("reference type %#x is not known", byte(t))
	}
	return t
}

func (m *Module) readTypeIndex(r *reader) uint32 {
	i := r.u32()
	if uint64(i) >= uint64(len(m.Types)) {
		r.fail("type %d does not exist", i)
	}
	return i
}

func (m *Module) readImport(r *reader) Import {
	imp := Import{Module: r.name(), Name: r.name(), Kind: Kind(r.byte())}
	switch imp.Kind {
	case KindFunction:
		imp.Type = m.readTypeIndex(r)
		m.importedTypes = append(m.importedTypes, imp.Type)
	case KindTable:
		imp.Limits = readTable(r).Limits
	case KindMemory:
		imp.Limits = readMemory(r)
	case KindGlobal:
		imp.Global = readGlobalType(r)
	default:
		r.fail("import kind %#x is not known", byte(imp.Kind))
		return imp
	}
	m.imported[imp.Kind]++
	return imp
}

// readLimits reads a table's or memory's size, neither bound above most.
func readLimits(r *reader, most uint64) Limits {
	flags := r.byte()
	if flags > 1 {
		r.fail("limits with flags %#x: shared and 64-bit memories are not supported", flags)
	}
	l := Limits{Min: r.u32(), HasMax: flags == 1}
	if l.HasMax {
		l.Max = r.u32()
	}
	switch {
	case uint64(l.Min) > most || uint64(l.Max) > most:
		r.fail("a size of %d is beyond %d", max(l.Min, l.Max), most)
	case l.HasMax && l.Max < l.Min:
		r.fail("the maximum %d is below the minimum %d", l.Max, l.Min)
	}
	return l
}

func readTable(r *reader) Table {
	return Table{Type: readRefType(r), Limits: readLimits(r, 1<<32-1)}
}

func readMemory(r *reader) Limits { return readLimits(r, maxMemoryPages) }

func readGlobalType(r *reader) Global {
	g := Global{Type: readValueType(r)}
	mutable := r.byte()
	if mutable > 1 {
		r.fail("mutability %#x is not known", mutable)
	}
	g.Mutable = mutable == 1
	return g
}

func readGlobal(r *reader) Global {
	g := readGlobalType(r)
	g.Init = readExpr(r)
	return g
}

func (m *Module) readExports(r *reader) {
	seen := map[string]bool{}
	m.Exports = vector(r, "exports", maxExports, 3, func(r *reader) Export {
		e := Export{Name: r.name(), Kind: Kind(r.byte()), Index: r.u32()}
		switch {
		case r.err != nil:
		case e.Kind > KindGlobal:
			r.fail("export kind %#x is not known", byte(e.Kind))
		case e.Index >= m.Space(e.Kind):
			r.fail("export %q is of %s %d, which does not exist", e.Name, e.Kind, e.Index)
		case seen[e.Name]:
			r.fail("%q is exported twice", e.Name)
		}
		seen[e.Name] = true
		return e
	})
}

func (m *Module) readStart(r *reader) {
	m.Start, m.HasStart = r.u32(), true
	t, ok := m.FunctionType(m.Start)
	if !ok || len(t.Params)+len(t.Results) != 0 {
		r.fail("function %d cannot be the start function", m.Start)
	}
}
