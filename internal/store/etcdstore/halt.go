// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap/zapcore"

	"github.com/posternhq/postern/internal/store"
)

// halt is what becomes of a server that finds it cannot go on, most often
// because it cannot write. etcd would end the process then. Here the goroutine
// that found it stops for ever, with all its locks, so that nothing of the server
// moves any more: what it has not written stays unwritten, and no file changes.
// The process lives, and must end before another server uses the folder.
type halt struct {
	once     sync.Once
	happened chan struct{}
	cause    error // set before happened is closed
}

func newHalt() *halt { return &halt{happened: make(chan struct{})} }

// OnWrite implements zapcore.CheckWriteHook, for messages after which etcd does
// not expect to go on.
func (h *halt) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	values := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(values)
	}
	cause := errors.New(entry.Message)
	for _, name := range []string{"error", "panic"} {
		if text, ok := values.Fields[name]; ok {
			cause = fmt.Errorf("%s: %v", entry.Message, text)
			break
		}
	}
	h.set(cause)
	select {}
}

func (h *halt) set(cause error) {
	h.once.Do(func() {
		h.cause = cause
		close(h.happened)
	})
}

// err returns nil as long as the server goes on.
func (h *halt) err() error {
	select {
	case <-h.happened:
		return &frozenError{h.cause}
	default:
		return nil
	}
}

// frozenError is store.ErrFrozen with its cause.
type frozenError struct{ cause error }

func (e *frozenError) Error() string        { return fmt.Sprintf("%v: etcd: %v", store.ErrFrozen, e.cause) }
func (e *frozenError) Is(target error) bool { return target == store.ErrFrozen }

// Unavailable gives the words for clients.
func (e *frozenError) Unavailable() string { return adviceFrozen }

// unlessHalted runs an operation of the server, and leaves it behind when the
// server stops: its locks may never be free again.
func unlessHalted[T any](h *halt, operation func() (T, error)) (T, error) {
	if h == nil {
		return operation()
	}
	type result struct {
		value T
		err   error
	}
	var none T
	if err := h.err(); err != nil {
		return none, err
	}
	done := make(chan result, 1)
	go func() {
		value, err := operation()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-h.happened:
		return none, h.err()
	}
}
