"""In the place of torch, of which the stock WhisperLive asks on this path only whether there is a GPU."""


class _Cuda:
    def is_available(self) -> bool:
        return False


cuda = _Cuda()
