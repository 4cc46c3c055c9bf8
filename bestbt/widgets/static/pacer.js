// Answer after the frame in which the update was painted, not when it arrived.
export default {
  initialize({ model }) {
    model.on("change:seq", () => {
      requestAnimationFrame(() =>
        setTimeout(() => {
          model.set("ack", model.get("seq"));
          model.save_changes();
        }, 0),
      );
    });
  },
};
