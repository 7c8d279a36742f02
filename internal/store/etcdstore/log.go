// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// expected are warnings that etcd gives about how it is meant to run here.
var expected = []string{
	"Running http and grpc server on single port. This is not recommended for production.",
	"simple token is not cryptographically signed",
	// A new data folder has nothing to tell the version by until some seconds
	// later, when etcd tries again. The version matters for a downgrade only.
	"Failed to detect schema version",
	"failed to update storage version",
	"Failed to detect storage schema version. Please wait till wal snapshot before upgrading cluster.",
	// A full disk and a full database are said in Postern's own words.
	"failed to preallocate space when creating a new WAL",
	"alarm raised",
}

// slogCore lets etcd, which logs with zap, log its warnings and errors with slog.
type slogCore struct {
	log    *slog.Logger
	fields []zapcore.Field
	muted  *atomic.Bool // shared with all that With makes
}

func newSlogCore(log *slog.Logger) *slogCore {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &slogCore{log: log, muted: new(atomic.Bool)}
}

// zapLogger returns a zap logger that writes to log.
func zapLogger(log *slog.Logger) *zap.Logger { return newSlogCore(log).logger() }

func (c *slogCore) logger() *zap.Logger { return zap.New(c) }

// haltingLogger returns a logger whose last messages do not end the process.
func (c *slogCore) haltingLogger(h *halt) *zap.Logger {
	return zap.New(c, zap.WithFatalHook(h), zap.WithPanicHook(h))
}

// mute drops everything from now on.
func (c *slogCore) mute() { c.muted.Store(true) }

// Enabled implements zapcore.Core. What is worse than an error is left to the
// halt, which whoever uses the store is told of.
func (c *slogCore) Enabled(level zapcore.Level) bool {
	return level >= zapcore.WarnLevel && level <= zapcore.ErrorLevel && !c.muted.Load()
}

// With implements zapcore.Core.
func (c *slogCore) With(fields []zapcore.Field) zapcore.Core {
	return &slogCore{log: c.log, fields: slices.Concat(c.fields, fields), muted: c.muted}
}

// Check implements zapcore.Core.
func (c *slogCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) && !slices.Contains(expected, entry.Message) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c *slogCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelWarn
	if entry.Level > zapcore.WarnLevel {
		level = slog.LevelError
	}
	values := zapcore.NewMapObjectEncoder()
	var attrs []slog.Attr
	for _, field := range slices.Concat(c.fields, fields) {
		field.AddTo(values)
		if value, ok := values.Fields[field.Key]; ok {
			attrs = append(attrs, slog.Any(field.Key, value))
		}
	}
	c.log.LogAttrs(context.Background(), level, "etcd: "+entry.Message, attrs...)
	return nil
}

// Sync implements zapcore.Core.
func (c *slogCore) Sync() error { return nil }
