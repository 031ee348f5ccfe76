// What the program beside a header uses of tflite-micro, declared alone: it is held to syntax, and not run.
#pragma once

namespace tflite {
struct Model;
const Model* GetModel(const void* bytes);
}  // namespace tflite
