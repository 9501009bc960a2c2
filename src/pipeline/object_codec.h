#pragma once

#include <string>

#include "io/codec.h"
#include "model/object.h"

namespace heimdall {

// ObjectMeta inside the records of spools, ledgers and plans.
inline void append_object(std::string& out, const ObjectView& object) {
  append_bytes(out, object.key);
  append_varint(out, object.size_bytes);
  append_time(out, object.last_modified);
  append_bytes(out, object.etag);
  append_bytes(out, object.version_id);
}

inline void append_object(std::string& out, const ObjectMeta& object) {
  append_object(out, ObjectView{object.key.bytes(), object.etag, object.version_id, object.size_bytes,
                                object.last_modified});
}

inline ObjectMeta decode_object(RecordDecoder& in) {
  ObjectMeta object;
  object.key = ObjectKey(std::string(in.bytes()));
  object.size_bytes = in.varint();
  object.last_modified = in.time();
  object.etag = in.bytes();
  object.version_id = in.bytes();
  return object;
}

}  // namespace heimdall
