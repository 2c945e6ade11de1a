"""What goes through mediators: shares of an effect, and effects that mediators carry wholly (the front door)."""
