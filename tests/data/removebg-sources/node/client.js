const { removeBackgroundFromImageFile } = require("remove.bg");

module.exports = (path, apiKey) => removeBackgroundFromImageFile({ path, apiKey, size: "auto" });
