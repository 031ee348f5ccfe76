// As schema_generated.h: the methods are those of tflite-micro, by their names.
#pragma once

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

namespace tflite {
class MicroOpResolver {};

template <unsigned int count>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
#define METHOD(name) \
  TfLiteStatus name() { return kTfLiteOk; }
  METHOD(AddAbs) METHOD(AddAdd) METHOD(AddAveragePool2D) METHOD(AddBatchMatMul) METHOD(AddBroadcastTo)
  METHOD(AddConcatenation) METHOD(AddConv2D) METHOD(AddDepthwiseConv2D) METHOD(AddDequantize) METHOD(AddDiv)
  METHOD(AddElu) METHOD(AddExp) METHOD(AddFullyConnected) METHOD(AddGather) METHOD(AddGreaterEqual)
  METHOD(AddHardSwish) METHOD(AddLeakyRelu) METHOD(AddLess) METHOD(AddLog) METHOD(AddLogistic)
  METHOD(AddMaxPool2D) METHOD(AddMaximum) METHOD(AddMean) METHOD(AddMinimum) METHOD(AddMirrorPad)
  METHOD(AddMul) METHOD(AddNeg) METHOD(AddPad) METHOD(AddPadV2) METHOD(AddPrelu) METHOD(AddQuantize)
  METHOD(AddRelu) METHOD(AddRelu6) METHOD(AddReshape) METHOD(AddResizeBilinear)
  METHOD(AddResizeNearestNeighbor) METHOD(AddRsqrt) METHOD(AddSelectV2) METHOD(AddSlice) METHOD(AddSoftmax)
  METHOD(AddSplit) METHOD(AddSqrt) METHOD(AddSquare) METHOD(AddStridedSlice) METHOD(AddSub) METHOD(AddTanh)
  METHOD(AddTranspose) METHOD(AddTransposeConv) METHOD(AddWhile)
#undef METHOD
};
}  // namespace tflite
