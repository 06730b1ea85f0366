package pool

// Usable returns the members that may have new traffic. The slice is shared and
// must not be changed; it is another one after every change, and so tells
// whether what was worked out from it still holds.
func (p *Pool) Usable() []*Member { return p.now.Load().members }
