// Reading listed pages, a thousand keys each, as MinIO and as AWS write them.

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>

#include "base/format.h"
#include "store/s3/list_page.h"
#include "store/s3/list_scanner.h"
#include "store/s3/s3_xml.h"

namespace heimdall {

namespace {

constexpr unsigned kPage = 1000;  // keys

enum class Form { minio, aws };

std::string about(Form form) {
  if (form == Form::minio) {
    return "<Name>recordings</Name><Prefix></Prefix><NextContinuationToken>session-000000/x[minio_cache:v2,return:]</NextContinuationToken>"
           "<KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys><Delimiter></Delimiter><IsTruncated>true</IsTruncated>";
  }
  return "<Name>recordings</Name><Prefix/><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken>"
         "<KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>";
}

std::string object(Form form, unsigned n, const char* between) {
  const std::string key = format("session-{:06}{}00000000-0000-4000/recording-{:07}-{:08x}.npy", n / 100, between, n, n * 2654435761U);
  if (form == Form::minio) {
    return format("<Contents><Key>{}</Key><LastModified>2026-11-{:02}T10:{:02}:00.123Z</LastModified><ETag>&#34;{:032x}&#34;</ETag><Size>{}</Size>"
                  "<StorageClass>STANDARD</StorageClass></Contents>", key, n % 28 + 1, n % 60, n, n * 4096);
  }
  return format("<Contents><Key>{}</Key><LastModified>2026-11-{:02}T10:{:02}:00.000Z</LastModified><ETag>&quot;{:032x}&quot;</ETag>"
                "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>{}</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>", key, n % 28 + 1, n % 60, n, n * 4096);
}

std::string page_of(Form form, const char* between) {
  std::string body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" + about(form);
  std::string objects;
  for (unsigned n = 0; n < kPage; ++n) objects += object(form, n, between);
  return body + objects + (form == Form::minio ? "<EncodingType>url</EncodingType>" : "") + "</ListBucketResult>";
}

void per_key(benchmark::State& state, const std::string& page) {
  state.SetItemsProcessed(state.iterations() * kPage);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(page.size()));
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// What the others pay for a fresh body.
void copy_body(benchmark::State& state, Form form) {
  const std::string page = page_of(form, "/");
  std::string body;
  for (auto _ : state) {
    body = page;
    benchmark::DoNotOptimize(body.data());
  }
  per_key(state, page);
}
BENCHMARK_CAPTURE(copy_body, minio, Form::minio);
BENCHMARK_CAPTURE(copy_body, aws, Form::aws);

void scan_text(benchmark::State& state, Form form, ByteSearch search) {
  std::string body = page_of(form, "/");  // has no entity that is replaced, so it stays as it is
  for (auto _ : state) {
    auto list = scan_list_page(body, search);
    if (!list || list->objects.size() != kPage) fail("the page was not scanned");
    benchmark::DoNotOptimize(list->objects.data());
  }
  per_key(state, body);
}
BENCHMARK_CAPTURE(scan_text, minio_simd, Form::minio, ByteSearch::simd);
BENCHMARK_CAPTURE(scan_text, minio_plain, Form::minio, ByteSearch::plain);
BENCHMARK_CAPTURE(scan_text, aws_simd, Form::aws, ByteSearch::simd);
BENCHMARK_CAPTURE(scan_text, aws_plain, Form::aws, ByteSearch::plain);

void parse_text(benchmark::State& state, Form form) {
  const std::string page = page_of(form, "/");
  std::string body;
  for (auto _ : state) {
    body = page;
    auto list = parse_list_page(body);
    if (!list || list->objects.size() != kPage) fail("the page was not parsed");
    benchmark::DoNotOptimize(list->objects.data());
  }
  per_key(state, page);
}
BENCHMARK_CAPTURE(parse_text, minio, Form::minio);
BENCHMARK_CAPTURE(parse_text, aws, Form::aws);

// From body to checked objects, the copy of the body included.
void read_page(benchmark::State& state, Form form, const char* between) {
  const std::string text = page_of(form, between);
  ObjectPage page;
  for (auto _ : state) {
    const auto head = read_list_page(text, {.prefix = "session-"}, page);
    if (!head || page.size() != kPage) fail("the page was not read");
    benchmark::DoNotOptimize(page[0].key.data());
  }
  per_key(state, text);
}
BENCHMARK_CAPTURE(read_page, minio, Form::minio, "/");
BENCHMARK_CAPTURE(read_page, aws, Form::aws, "/");
BENCHMARK_CAPTURE(read_page, escaped, Form::minio, "%2F%C3%A9+");
BENCHMARK_CAPTURE(read_page, left_to_the_exact_reader, Form::minio, "&#47;&#233;");

}  // namespace

}  // namespace heimdall
